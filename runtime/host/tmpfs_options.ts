/** What the kernel's tmpfs knows, and whether it may be written to a disk. */
import { byteStringFromText } from "../core/bytes.ts";
import { closeFd } from "./fs_calls.ts";
import { cFunctions, cString } from "./libc.ts";

const kernel = cFunctions({
  fsopen: { name: "syscall", parameters: ["i64", "buffer", "i64"], result: "i64" },
  fsconfig: { name: "syscall", parameters: ["i64", "i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
});

const SYS_FSOPEN = 430n;
const SYS_FSCONFIG = 431n;
const FSOPEN_CLOEXEC = 1n;
const SET_FLAG = 0n;

let noswap: boolean | undefined;

/**
 * Whether a tmpfs can be kept out of the swap space (Linux 6.4, and only for the machine's own root). Asked once, by
 * preparing a file system that is never mounted.
 */
export function tmpfsKnowsNoswap(): boolean {
  return noswap ??= probe("noswap");
}

function probe(option: string): boolean {
  const fd = Number(kernel.fsopen(SYS_FSOPEN, cString(byteStringFromText("tmpfs")), FSOPEN_CLOEXEC));
  if (fd < 0) return false;
  try {
    const name = cString(byteStringFromText(option));
    return kernel.fsconfig(SYS_FSCONFIG, BigInt(fd), SET_FLAG, name, null, 0n) === 0n;
  } finally {
    closeFd(fd);
  }
}

/** Whether this machine has swap space that is in use: then memory may reach a disk. */
export function swapIsInUse(): boolean {
  return Deno.readTextFileSync("/proc/swaps").trim().split("\n").length > 1;
}
