/** The text of an fstab, and a file for it that nobody else can read and that no crash leaves behind. */
import { byteStringFromText } from "../core/bytes.ts";
import { cFunctions, checked, cString, libc } from "./libc.ts";

const kernel = cFunctions({
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
});

const MFD_CLOEXEC = 1;

/** One line of an fstab. */
export interface FstabEntry {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The entries as mount(8) reads them back, whatever characters they hold. */
export function formatFstab(entries: readonly FstabEntry[]): string {
  return entries.map(({ source, target, type, options }) => {
    const fields = [source, target, type, options.length === 0 ? "defaults" : options.join(",")];
    return `${fields.map((field) => field === "" ? "none" : escapeField(field)).join(" ")} 0 0\n`;
  }).join("");
}

function escapeField(field: string): string {
  // White space separates, `#` begins a comment, `\` an escape, and libmount takes quotes for itself.
  // deno-lint-ignore no-control-regex
  return field.replace(/[\x00-\x20\\#\x7f]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** A file in memory only; it ends with this handle or this process. */
export interface MemoryFile extends Disposable {
  /** Readable by child processes of the same user. */
  readonly path: string;
}

/** Puts a text into a file in memory. */
export function memoryFile(content: string): MemoryFile {
  const fd = checked(kernel.memfd_create(cString(byteStringFromText("lamina")), MFD_CLOEXEC), "memfd_create", "file");
  const bytes = new TextEncoder().encode(content);
  for (let at = 0; at < bytes.length;) {
    at += Number(checked(libc.write(fd, bytes.subarray(at), BigInt(bytes.length - at)), "write", "memory file"));
  }
  return { path: `/proc/${Deno.pid}/fd/${fd}`, [Symbol.dispose]: () => void libc.close(fd) };
}
