/**
 * Looking at files by directory descriptor and byte name: open, statx, list, read, extended attributes. Nothing here
 * follows a final symbolic link. Failures throw `ErrnoError`. The calls that change something are in
 * `fs_change_calls.ts`.
 */
import type { ByteString } from "../core/bytes.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "./openat2.ts";
import { checked, cString, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";

/** Do not follow a final symbolic link. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** `unlinkat` removes a directory. */
export const AT_REMOVEDIR = 0x200;
/** The name is empty: the descriptor itself is meant. */
export const AT_EMPTY_PATH = 0x1000;

/** What an inode is. `unknown` only in listings of file systems that do not say it there. */
export type FileType = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket" | "unknown";

// Index: mode >> 12, which is also d_type.
const fileTypes: readonly FileType[] = [
  "unknown",
  "fifo",
  "char",
  "unknown",
  "directory",
  "unknown",
  "block",
  "unknown",
  "file",
  "unknown",
  "symlink",
  "unknown",
  "socket",
  "unknown",
  "unknown",
  "unknown",
];

/** An inode's attributes. */
export interface FileStatus {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size_bytes: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  readonly ino: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Of a device node. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Seconds since the epoch, negative before. */
  readonly mtime_s: number;
  /** 0 to 999,999,999, added to `mtime_s`. */
  readonly mtime_ns: number;
  readonly atime_s: number;
  readonly atime_ns: number;
  readonly ctime_s: number;
  readonly ctime_ns: number;
  /** Which mount it was seen through; tells bind mounts apart that a device number does not. */
  readonly mountId: bigint;
  /** It is the root of a mount. */
  readonly mountRoot: boolean;
  /** `chattr +i` or `+a`. */
  readonly immutable: boolean;
}

const statBuffer = new Uint8Array(256);
const stat = new DataView(statBuffer.buffer);
const le = true; // x86-64 and arm64 are both little-endian
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_TYPE = 1;
const STATX_WANTED = 0x7ff | 0x1000; // basic stats and the mount id
const ATTR_IMMUTABLE = 0x10;
const ATTR_APPEND = 0x20;
const ATTR_MOUNT_ROOT = 0x2000;

function seconds(offset: number): number {
  return stat.getInt32(offset + 4, le) * 4294967296 + stat.getUint32(offset, le);
}

function decodeStatus(): FileStatus {
  const mode = stat.getUint16(28, le);
  const attributes = stat.getUint32(8, le);
  return {
    type: fileTypes[mode >> 12]!,
    mode: mode & 0o7777,
    uid: stat.getUint32(20, le),
    gid: stat.getUint32(24, le),
    nlink: stat.getUint32(16, le),
    size_bytes: stat.getUint32(44, le) * 4294967296 + stat.getUint32(40, le),
    blocks: stat.getUint32(52, le) * 4294967296 + stat.getUint32(48, le),
    ino: stat.getBigUint64(32, le),
    devMajor: stat.getUint32(136, le),
    devMinor: stat.getUint32(140, le),
    rdevMajor: stat.getUint32(128, le),
    rdevMinor: stat.getUint32(132, le),
    atime_s: seconds(64),
    atime_ns: stat.getUint32(72, le),
    ctime_s: seconds(96),
    ctime_ns: stat.getUint32(104, le),
    mtime_s: seconds(112),
    mtime_ns: stat.getUint32(120, le),
    mountId: stat.getBigUint64(144, le),
    mountRoot: (attributes & ATTR_MOUNT_ROOT) !== 0,
    immutable: (attributes & (ATTR_IMMUTABLE | ATTR_APPEND)) !== 0,
  };
}

const empty = "" as ByteString;

/** Attributes of `name` in the directory `dirFd`; of a symbolic link, not its target. */
export function statxAt(dirFd: number, name: ByteString): FileStatus {
  checked(libc.statx(dirFd, cString(name), AT_SYMLINK_NOFOLLOW, STATX_WANTED, statBuffer), "statx", show(name));
  return decodeStatus();
}

/** As {@linkcode statxAt}; `undefined` when there is no such name. */
export function statxAtIfPresent(dirFd: number, name: ByteString): FileStatus | undefined {
  if (libc.statx(dirFd, cString(name), AT_SYMLINK_NOFOLLOW, STATX_WANTED, statBuffer) === 0) return decodeStatus();
  const error = new ErrnoError("statx", lastErrno(), show(name));
  if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
  throw error;
}

/** Attributes of an open descriptor (`O_PATH` included). */
export function statxFd(fd: number): FileStatus {
  checked(
    libc.statx(fd, cString(empty), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_WANTED, statBuffer),
    "statx",
    `fd ${fd}`,
  );
  return decodeStatus();
}

/** What of an open descriptor is known without asking a server that may not answer: a network file system's. */
export function knownOfFd(fd: number): Pick<FileStatus, "type" | "mountRoot"> {
  const flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC;
  checked(libc.statx(fd, cString(empty), flags, STATX_TYPE, statBuffer), "statx", `fd ${fd}`);
  return decodeStatus();
}

/** A new descriptor. `CLOEXEC` is added; `NOFOLLOW` is the caller's choice. */
export function openAt(dirFd: number, name: ByteString, flags: number, mode = 0): number {
  for (;;) {
    const fd = libc.openat(dirFd, cString(name), flags | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno !== 4) throw new ErrnoError("openat", errno, show(name));
  }
}

/**
 * Opens a regular file for reading without touching its access time where the caller may ask for that. Never waits
 * when the name has meanwhile become a FIFO; `ELOOP` for a symbolic link.
 */
export function openToReadAt(dirFd: number, name: ByteString): number {
  try {
    return openAt(dirFd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
  } catch (error) {
    // EPERM: the file is somebody else's and we are not root.
    if (!isErrno(error, "EPERM")) throw error;
    return openAt(dirFd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }
}

/** Opens a directory for listing; `ENOTDIR` for anything else, symbolic links included. */
export function openDirectoryAt(dirFd: number, name: ByteString): number {
  return openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** Closes a descriptor. Errors are thrown: after a write they may be its only sign. */
export function closeFd(fd: number): void {
  checked(libc.close(fd), "close", `fd ${fd}`);
}

const listBuffer = new Uint8Array(65536);
const listView = new DataView(listBuffer.buffer);

/** The names in an open directory from its start, without `.` and `..`, in the file system's order. */
export function readDirectory(fd: number): ByteString[] {
  const names: ByteString[] = [];
  rewindDirectory(fd);
  for (let part = readDirectoryPart(fd); part !== undefined; part = readDirectoryPart(fd)) {
    for (const { name } of part) names.push(name);
  }
  return names;
}

/** A name in a directory. */
export interface DirectoryEntry {
  readonly name: ByteString;
  /** `unknown` where the file system does not say it in listings. */
  readonly type: FileType;
}

/**
 * The next entries of an open directory, as many as fit 64 KiB, without `.` and `..` (so it may be empty);
 * `undefined` at the end. What is deleted meanwhile does not disturb the reading.
 */
export function readDirectoryPart(fd: number): DirectoryEntry[] | undefined {
  const length = Number(checked(libc.getdents64(fd, listBuffer, BigInt(listBuffer.length)), "getdents64", `fd ${fd}`));
  if (length === 0) return undefined;
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < length;) {
    const recordLength = listView.getUint16(at + 16, le);
    let end = at + 19;
    while (listBuffer[end] !== 0) end++;
    const name = String.fromCharCode.apply(null, listBuffer.subarray(at + 19, end) as unknown as number[]);
    const type = fileTypes[listBuffer[at + 18]! & 15]!;
    if (name !== "." && name !== "..") entries.push({ name: name as ByteString, type });
    at += recordLength;
  }
  return entries;
}

/** Makes {@linkcode readDirectoryPart} begin anew. */
export function rewindDirectory(fd: number): void {
  checked(libc.lseek(fd, 0n, 0), "lseek", `fd ${fd}`);
}

const linkBuffer = new Uint8Array(65536);

/** The target of a symbolic link. */
export function readlinkAt(dirFd: number, name: ByteString): ByteString {
  const length = Number(
    checked(
      libc.readlinkat(dirFd, cString(name), linkBuffer, BigInt(linkBuffer.length)),
      "readlinkat",
      show(name),
    ),
  );
  return String.fromCharCode.apply(null, linkBuffer.subarray(0, length) as unknown as number[]) as ByteString;
}

/** Where what a descriptor stands for is now, as this process sees it. `… (deleted)` when it is nowhere. */
export function pathOfFd(fd: number): ByteString {
  return readlinkAt(AT_FDCWD, `/proc/self/fd/${fd}` as ByteString);
}

/** A path to the directory behind a descriptor, for what takes no descriptors. Good in this process, while it is open. */
export function pathThroughFd(fd: number): string {
  return `/proc/self/fd/${fd}/.`;
}

/** Reads into `buffer` at the descriptor's position. Returns the bytes read, 0 at the end. */
export function readFd(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    const count = Number(libc.read(fd, buffer, BigInt(buffer.length)));
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno !== 4) throw new ErrnoError("read", errno, `fd ${fd}`);
  }
}

/** Reads into `buffer` at an offset in bytes. Returns the bytes read, 0 at the end. */
export function preadFd(fd: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
  for (;;) {
    const count = Number(libc.pread(fd, buffer, BigInt(buffer.length), BigInt(offset)));
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno !== 4) throw new ErrnoError("pread", errno, `fd ${fd}`);
  }
}

/** For messages: the name as people read it, shortened. */
function show(name: ByteString): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}
