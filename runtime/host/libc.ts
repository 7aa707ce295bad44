/**
 * The C library, for what Deno has no API for: directory-relative system calls, extended attributes, device nodes,
 * mounts, whole-file-system syncs. Everything here is synchronous (a call costs about a third of a microsecond) and may
 * be used in workers; what can take long belongs in a worker or has a `…Async` twin that runs on another thread.
 *
 * Names and paths are {@linkcode ByteString}s. Failures throw {@linkcode ErrnoError}.
 */
import type { ByteString } from "../core/bytes.ts";

/**
 * Functions of the C library under the given signatures. Each is looked up when it is first used: Deno compiles a
 * trampoline for every one, a fifth of a millisecond each, at every start of a process and of a worker.
 */
export function cFunctions<const S extends Deno.ForeignLibraryInterface>(
  signatures: S,
): Deno.StaticForeignLibraryInterface<S> {
  const functions = {};
  for (const [name, signature] of Object.entries(signatures)) {
    Object.defineProperty(functions, name, {
      configurable: true,
      get() {
        const value: unknown = Deno.dlopen("libc.so.6", { [name]: signature }).symbols[name];
        Object.defineProperty(functions, name, { value });
        return value;
      },
    });
  }
  return functions as Deno.StaticForeignLibraryInterface<S>;
}

/** The raw functions. Prefer the wrappers of this folder; results are not checked here. */
export const libc = cFunctions({
  __errno_location: { parameters: [], result: "pointer" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  copy_file_range: { parameters: ["i32", "buffer", "i32", "buffer", "usize", "u32"], result: "isize" },
  ioctl: { parameters: ["i32", "u64", "i64"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  fsync: { parameters: ["i32"], result: "i32" },
  syncfs: { parameters: ["i32"], result: "i32" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "isize" },
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  fchownat: { parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  fsetxattr: { parameters: ["i32", "buffer", "buffer", "usize", "i32"], result: "i32" },
  fgetxattr: { parameters: ["i32", "buffer", "buffer", "usize"], result: "isize" },
  flistxattr: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  lsetxattr: { parameters: ["buffer", "buffer", "buffer", "usize", "i32"], result: "i32" },
  lgetxattr: { parameters: ["buffer", "buffer", "buffer", "usize"], result: "isize" },
  llistxattr: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  fremovexattr: { parameters: ["i32", "buffer"], result: "i32" },
  lremovexattr: { parameters: ["buffer", "buffer"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "buffer", "buffer", "i64", "i64"], result: "i64" },
});

/** Those that may wait for a disk, on another thread. `errno` is not to be had from them. */
export const slowLibc = cFunctions({
  syncfs: { name: "syncfs", parameters: ["i32"], result: "i32", nonblocking: true },
  fsync: { name: "fsync", parameters: ["i32"], result: "i32", nonblocking: true },
  ioctl: { name: "ioctl", parameters: ["i32", "u64", "buffer"], result: "i32", nonblocking: true },
});

/** `errno` values that Lamina names. */
export const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOTCONN: 107,
  ESTALE: 116,
  EDQUOT: 122,
};
const errnoNames = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));

/** A failed system call. */
export class ErrnoError extends Error {
  /** E.g. `ENOENT`, or `errno 42` for one without a name here. */
  readonly errno: string;
  /** Name of the call. */
  readonly call: string;

  constructor(call: string, number: number, what: string) {
    const name = errnoNames.get(number) ?? `errno ${number}`;
    super(`${call} ${what}: ${name}`);
    this.name = "ErrnoError";
    this.errno = name;
    this.call = call;
  }
}

/** Whether `error` is a failed system call with one of these names. */
export function isErrno(error: unknown, ...names: string[]): error is ErrnoError {
  return error instanceof ErrnoError && names.includes(error.errno);
}

const errnoView = new Deno.UnsafePointerView(libc.__errno_location()!);

/** The calling thread's `errno`; read it directly after the call that failed. */
export function lastErrno(): number {
  return errnoView.getInt32();
}

/** `result` when the call succeeded, else throws. */
export function checked<N extends number | bigint>(result: N, call: string, what: string): N {
  if (result < 0) throw new ErrnoError(call, lastErrno(), what);
  return result;
}

// A ring of scratch buffers, so that a call with two names needs no allocation.
const scratch = Array.from({ length: 4 }, () => new Uint8Array(65536 + 1));
let nextScratch = 0;

/**
 * A NUL-terminated copy of `name` in a shared buffer that stays valid for the next three calls of this function.
 * A name that holds NUL, or exceeds 65,536 bytes, is a defect of the caller.
 */
export function cString(name: ByteString): Uint8Array<ArrayBuffer> {
  const buffer = scratch[nextScratch = (nextScratch + 1) & 3]!;
  if (name.length >= buffer.length) throw new RangeError(`name of ${name.length} bytes is too long for a system call`);
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if (byte === 0 || byte > 255) throw new TypeError("a byte string for a system call holds NUL or no byte");
    buffer[i] = byte;
  }
  buffer[name.length] = 0;
  return buffer;
}
