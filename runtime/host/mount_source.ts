/** What a bind's source is on, asked so that a dead server keeps nobody but the asking call waiting. */
import { abortable } from "../core/keyed_lock.ts";
import { bytesOf, byteStringFromText } from "../core/bytes.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import { mayHang } from "./file_system_types.ts";
import { cFunctions } from "./libc.ts";
import { flagsOfStatfs } from "./mount_options.ts";

const kernel = cFunctions({
  statfs: { parameters: ["buffer", "buffer"], result: "i32", nonblocking: true },
});

/** The mount that holds `path`, by its text: links in it are not resolved. */
export function mountHolding(entries: readonly MountEntry[], path: string): MountEntry | undefined {
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const { target } = entry;
    const holds = target === "/" || path === target || path.startsWith(`${target}/`);
    if (holds && target.length >= (best?.target.length ?? 0)) best = entry;
  }
  return best;
}

/** Whether touching `path` may hang. */
export function pathMayHang(entries: readonly MountEntry[], path: string): boolean {
  const holding = mountHolding(entries, path);
  return holding !== undefined && mayHang(holding.type);
}

// What a call on another thread writes to must outlive a caller that no longer waits.
const inUse = new Set<unknown>();

/** `MS` flags of the mount that `path` is on; 0 where it cannot be asked (then the bind itself fails and says why). */
export async function mountFlagsAt(path: string, signal: AbortSignal): Promise<number> {
  const name = bytesOf(byteStringFromText(`${path}\0`));
  const words = new BigUint64Array(15);
  const buffers = [name, words];
  inUse.add(buffers);
  const call = kernel.statfs(name, new Uint8Array(words.buffer)).finally(() => inUse.delete(buffers));
  const result = await abortable(call, signal);
  return result === 0 ? flagsOfStatfs(Number(words[10])) : 0;
}
