/**
 * Changing files by directory descriptor and byte name. Nothing here follows a final symbolic link, with the one
 * exception that says so ({@linkcode chmodAt}). Failures throw `ErrnoError`.
 */
import type { ByteString } from "../core/bytes.ts";
import { AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW } from "./fs_calls.ts";
import { checked, cString, ErrnoError, lastErrno, libc } from "./libc.ts";

/** Type bits of a mode, for {@linkcode mknodAt}. */
export const S_IF = { FIFO: 0o010000, CHR: 0o020000, BLK: 0o060000, REG: 0o100000, SOCK: 0o140000 } as const;

/** Makes a directory; the umask applies. */
export function mkdirAt(dirFd: number, name: ByteString, mode: number): void {
  checked(libc.mkdirat(dirFd, cString(name), mode), "mkdirat", name);
}

/** Makes a device node, a FIFO or an empty file (`type` of {@linkcode S_IF}); the umask applies. */
export function mknodAt(dirFd: number, name: ByteString, type: number, mode: number, major = 0, minor = 0): void {
  checked(libc.mknodat(dirFd, cString(name), type | mode, makeDevice(major, minor)), "mknodat", name);
}

/** glibc's `makedev`. */
export function makeDevice(major: number, minor: number): bigint {
  const high = BigInt(major), low = BigInt(minor);
  return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | ((high & 0xfffff000n) << 32n);
}

/** Makes a symbolic link. */
export function symlinkAt(target: ByteString, dirFd: number, name: ByteString): void {
  checked(libc.symlinkat(cString(target), dirFd, cString(name)), "symlinkat", name);
}

/** Makes another name of an inode; of a symbolic link itself, not of its target. */
export function linkAt(fromFd: number, from: ByteString, dirFd: number, name: ByteString): void {
  checked(libc.linkat(fromFd, cString(from), dirFd, cString(name), 0), "linkat", name);
}

/** Removes a name that is no directory. */
export function unlinkAt(dirFd: number, name: ByteString): void {
  checked(libc.unlinkat(dirFd, cString(name), 0), "unlinkat", name);
}

/** Removes an empty directory. */
export function rmdirAt(dirFd: number, name: ByteString): void {
  checked(libc.unlinkat(dirFd, cString(name), AT_REMOVEDIR), "rmdir", name);
}

/** Renames; replaces what is there. */
export function renameAt(fromFd: number, from: ByteString, toFd: number, to: ByteString): void {
  checked(libc.renameat2(fromFd, cString(from), toFd, cString(to), 0), "renameat2", to);
}

/** `renameat2(2)` that never replaces: throws `EEXIST` where `to` is. */
export function renameNewAt(fromFd: number, from: ByteString, toFd: number, to: ByteString): void {
  checked(libc.renameat2(fromFd, cString(from), toFd, cString(to), RENAME_NOREPLACE), "renameat2", to);
}

/** Exchanges two names of one directory, both of which exist, in one step. */
export function exchangeAt(dirFd: number, one: ByteString, other: ByteString): void {
  checked(libc.renameat2(dirFd, cString(one), dirFd, cString(other), RENAME_EXCHANGE), "renameat2", other);
}

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

/** Sets the owner of a name, also of a symbolic link. The kernel drops setuid bits and capabilities: set those after. */
export function chownAt(dirFd: number, name: ByteString, uid: number, gid: number): void {
  checked(libc.fchownat(dirFd, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW), "fchownat", name);
}

/** As {@linkcode chownAt} for an open descriptor. */
export function chownFd(fd: number, uid: number, gid: number): void {
  checked(libc.fchown(fd, uid, gid), "fchown", `fd ${fd}`);
}

/** Sets the mode of an open file or directory. */
export function chmodFd(fd: number, mode: number): void {
  checked(libc.fchmod(fd, mode), "fchmod", `fd ${fd}`);
}

/**
 * Sets the mode of a name. **Follows a symbolic link**: only for a name that the caller has just made in a directory
 * that nobody else writes to (device nodes, FIFOs). Links have no mode of their own.
 */
export function chmodAt(dirFd: number, name: ByteString, mode: number): void {
  checked(libc.fchmodat(dirFd, cString(name), mode, 0), "fchmodat", name);
}

/** A time for {@linkcode setTimesAt}: seconds since the epoch, and nanoseconds. */
export interface FileTime {
  readonly s: number;
  readonly ns: number;
}

const timesBuffer = new Uint8Array(32);
const times = new DataView(timesBuffer.buffer);
const UTIME_OMIT = 0x3ffffffe;

function fillTimes(mtime: FileTime, atime: FileTime | undefined): void {
  times.setBigInt64(0, BigInt(atime?.s ?? 0), true);
  times.setBigInt64(8, BigInt(atime?.ns ?? UTIME_OMIT), true);
  times.setBigInt64(16, BigInt(mtime.s), true);
  times.setBigInt64(24, BigInt(mtime.ns), true);
}

/** Sets the modification time of a name; the access time only when given. An empty name: the descriptor itself. */
export function setTimesAt(dirFd: number, name: ByteString, mtime: FileTime, atime?: FileTime): void {
  fillTimes(mtime, atime);
  const flags = AT_SYMLINK_NOFOLLOW | (name === "" ? AT_EMPTY_PATH : 0);
  checked(libc.utimensat(dirFd, cString(name), timesBuffer, flags), "utimensat", name);
}

/** As {@linkcode setTimesAt} for an open descriptor. */
export function setTimesFd(fd: number, mtime: FileTime, atime?: FileTime): void {
  fillTimes(mtime, atime);
  checked(libc.futimens(fd, timesBuffer), "futimens", `fd ${fd}`);
}

/** Writes all of `bytes` at the descriptor's position. */
export function writeFd(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < bytes.length;) {
    const rest = at === 0 ? bytes : bytes.subarray(at);
    const count = Number(libc.write(fd, rest, BigInt(rest.length)));
    if (count >= 0) at += count;
    else if (lastErrno() !== 4) throw new ErrnoError("write", lastErrno(), `fd ${fd}`);
  }
}

/** Writes all of `bytes` at an offset in bytes. */
export function pwriteFd(fd: number, bytes: Uint8Array<ArrayBuffer>, offset: number): void {
  for (let at = 0; at < bytes.length;) {
    const rest = at === 0 ? bytes : bytes.subarray(at);
    const count = Number(libc.pwrite(fd, rest, BigInt(rest.length), BigInt(offset + at)));
    if (count >= 0) at += count;
    else if (lastErrno() !== 4) throw new ErrnoError("pwrite", lastErrno(), `fd ${fd}`);
  }
}

/** Sets the size of an open file; a longer one gets a hole. */
export function truncateFd(fd: number, size_bytes: number): void {
  checked(libc.ftruncate(fd, BigInt(size_bytes)), "ftruncate", `fd ${fd}`);
}

/** Writes everything of the file system that holds `fd` to its disk. */
export function syncFileSystem(fd: number): void {
  checked(libc.syncfs(fd), "syncfs", `fd ${fd}`);
}
