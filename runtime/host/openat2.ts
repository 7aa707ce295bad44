/**
 * Opening a path so that the kernel itself keeps the walk inside a directory. Checking a path as a string and opening
 * it afterwards is not enough: a component may be, or become, a link.
 */
import type { ByteString } from "../core/bytes.ts";
import { cFunctions, cString, ErrnoError, lastErrno } from "./libc.ts";

// A signature of its own: the variadic `syscall` with exactly what openat2 takes, and a small result.
const kernel = cFunctions({
  openat2: { name: "syscall", parameters: ["i32", "i32", "buffer", "buffer", "usize"], result: "i32" },
});

const arm = Deno.build.arch === "aarch64";

export const O_RDONLY = 0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
/** Four flags have other values on arm64 than on x86-64. */
export const O_DIRECTORY = arm ? 0o40000 : 0o200000;
export const O_NOFOLLOW = arm ? 0o100000 : 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

/** The walk may not cross a mount point. */
export const RESOLVE_NO_XDEV = 0x01;
/** The walk may not pass a link like those of `/proc/PID/fd`. */
export const RESOLVE_NO_MAGICLINKS = 0x02;
/** No component may be a symbolic link (the last one neither, unless `O_NOFOLLOW | O_PATH` asks for the link). */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** The walk fails (`EXDEV`) where it would leave the directory: `..`, absolute paths, links to either. */
export const RESOLVE_BENEATH = 0x08;
/** The directory is the walk's root, as after `chroot`: absolute links and `..` stay inside. */
export const RESOLVE_IN_ROOT = 0x10;

/** `dirFd` for the current directory; absolute paths ignore it. */
export const AT_FDCWD = -100;

/** How to open; `mode` only together with `O_CREAT`. `O_CLOEXEC` is always added. */
export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  /** `RESOLVE_…` values, or-ed; default 0. */
  readonly resolve?: number;
}

const SYS_OPENAT2 = 437; // the same on every architecture
const SIZE = 24n;
const how = new BigUint64Array(3);
const howBytes = new Uint8Array(how.buffer);

/**
 * Opens `path` relative to the directory `dirFd` and returns the new descriptor.
 *
 * @throws `ErrnoError`: `EXDEV` where the walk would leave the root or cross a mount (by `resolve`), `ELOOP` for a
 * forbidden link, `ENOENT`, `ENOTDIR`, …; `ENOSYS` on kernels before 5.6.
 */
export function openat2(dirFd: number, path: ByteString, options: OpenHow): number {
  const fd = tryOpenat2(dirFd, path, options);
  if (fd < 0) throw new ErrnoError("openat2", -fd, path);
  return fd;
}

/** The same, but returns `-errno` (e.g. `-ERRNO.ENOENT`) instead of throwing; for walks where failing is usual. */
export function tryOpenat2(dirFd: number, path: ByteString, options: OpenHow): number {
  how[0] = BigInt(options.flags | O_CLOEXEC);
  how[1] = BigInt(options.mode ?? 0);
  how[2] = BigInt(options.resolve ?? 0);
  // EAGAIN: something was renamed during a walk with `..`, and the kernel cannot vouch for the result. Try again.
  for (let attempt = 0;; attempt++) {
    const fd = kernel.openat2(SYS_OPENAT2, dirFd, cString(path), howBytes, SIZE);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    const again = errno === 11 /* EAGAIN */ && attempt < 64 || errno === 4 /* EINTR */;
    if (!again) return -errno;
  }
}
