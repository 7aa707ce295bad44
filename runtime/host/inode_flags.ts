/** The inode flags of `chattr`. */
import type { ByteString } from "../core/bytes.ts";
import { closeFd, openAt, statxFd } from "./fs_calls.ts";
import { libc } from "./libc.ts";
import { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "./openat2.ts";

const GET_FLAGS = 0x80086601n;
const SET_FLAGS = 0x40086602n;
const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;

/**
 * Takes the flags "immutable" and "append only" from `name` and from the directory `dirFd` that holds it, so that it
 * can be deleted. Returns whether there were any and the kernel let them be taken away.
 */
export function clearImmutable(dirFd: number, name: ByteString): boolean {
  let changed = clearFlags(dirFd);
  let fd: number;
  try {
    fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return changed; // a link or device cannot have them
  }
  try {
    // Asking a device for flags would be a call to its driver.
    const { type } = statxFd(fd);
    if (type === "file" || type === "directory") changed = clearFlags(fd) || changed;
  } finally {
    closeFd(fd);
  }
  return changed;
}

function clearFlags(fd: number): boolean {
  const flags = new Int32Array(2);
  const pointer = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(flags)));
  if (libc.ioctl(fd, GET_FLAGS, pointer) !== 0 || (flags[0]! & (IMMUTABLE | APPEND_ONLY)) === 0) return false;
  flags[0]! &= ~(IMMUTABLE | APPEND_ONLY);
  return libc.ioctl(fd, SET_FLAGS, pointer) === 0;
}
