/** What a failed system call means to a caller of Lamina. */
import { type ErrorCode, type ErrorDetails, LaminaError } from "../core/errors.ts";
import { ErrnoError } from "./libc.ts";

interface Meaning {
  readonly code: ErrorCode;
  /** What was found and what to do. */
  readonly found: string;
}

const meanings: Readonly<Record<string, Meaning>> = {
  EPERM: { code: "PERMISSION_DENIED", found: "the kernel does not permit it. Run as root or grant the capability" },
  EACCES: { code: "PERMISSION_DENIED", found: "permission denied. Check owner and mode of the path" },
  ENOENT: { code: "NOT_FOUND", found: "it does not exist" },
  ENODEV: { code: "UNSUPPORTED", found: "the kernel does not know the device or file system type" },
  ENXIO: { code: "NOT_FOUND", found: "there is no such device" },
  EBUSY: { code: "CONFLICT", found: "it is in use. Stop what uses it and try again" },
  EEXIST: { code: "ALREADY_EXISTS", found: "it exists already" },
  ENOTEMPTY: { code: "CONFLICT", found: "the directory is not empty" },
  ENOTDIR: { code: "CONFLICT", found: "a part of the path is no directory" },
  EISDIR: { code: "CONFLICT", found: "it is a directory" },
  EXDEV: { code: "CONFLICT", found: "it lies on another file system" },
  EINVAL: { code: "INVALID_ARGUMENT", found: "the kernel refuses an argument" },
  ELOOP: { code: "INVALID_ARGUMENT", found: "too many symbolic links" },
  ENAMETOOLONG: { code: "INVALID_ARGUMENT", found: "a name is too long" },
  ENOSPC: { code: "RESOURCE_EXHAUSTED", found: "the disk is full. Free some space and try again" },
  EDQUOT: { code: "RESOURCE_EXHAUSTED", found: "the disk quota is exhausted. Free some space and try again" },
  ENOMEM: { code: "RESOURCE_EXHAUSTED", found: "the kernel has no memory for it" },
  EMFILE: { code: "RESOURCE_EXHAUSTED", found: "too many open files. Raise the limit (ulimit -n)" },
  ENFILE: { code: "RESOURCE_EXHAUSTED", found: "the machine has too many open files" },
  EMLINK: { code: "RESOURCE_EXHAUSTED", found: "the file has too many links" },
  EROFS: { code: "UNAVAILABLE", found: "the file system is read-only" },
  EIO: { code: "DATA_LOSS", found: "the disk reports an error. See the kernel's log" },
  ESTALE: { code: "UNAVAILABLE", found: "the server no longer knows it" },
  ENOTCONN: { code: "UNAVAILABLE", found: "the file system's server is not connected" },
  EOPNOTSUPP: { code: "UNSUPPORTED", found: "the file system cannot do this" },
  ENOSYS: { code: "UNSUPPORTED", found: "the kernel cannot do this" },
};

/** The code for an errno name (`ENOENT`); `INTERNAL` for one without a meaning of its own. */
export function codeOfErrno(errno: string): ErrorCode {
  return meanings[errno]?.code ?? "INTERNAL";
}

/** A clause that says what an errno name means and what to do. */
export function meaningOfErrno(errno: string): string {
  return meanings[errno]?.found ?? errno;
}

/**
 * `error` as a {@linkcode LaminaError}: its own unchanged; failed system calls, Deno's and Node's alike, by their errno;
 * aborts by their kind; the rest `INTERNAL`.
 *
 * @param attempted What was attempted, e.g. `Cannot lock /var/lib/lamina/lock`.
 */
export function hostError(error: unknown, attempted: string, details?: ErrorDetails): LaminaError {
  if (error instanceof LaminaError) return error;
  if (error instanceof DOMException && (error.name === "TimeoutError" || error.name === "AbortError")) {
    const late = error.name === "TimeoutError";
    const code = late ? "DEADLINE_EXCEEDED" : "CANCELLED";
    return new LaminaError(code, `${attempted}: ${late ? "the deadline passed" : "cancelled by the caller"}`, {
      cause: error,
      details,
    });
  }
  const errno = errnoOf(error);
  const found = errno === undefined ? (error instanceof Error ? error.message : String(error)) : meaningOfErrno(errno);
  return new LaminaError(errno === undefined ? "INTERNAL" : codeOfErrno(errno), `${attempted}: ${found}`, {
    cause: error,
    details: errno === undefined ? details : { ...details, errno },
  });
}

/** The name of the errno that a thrown value carries, e.g. `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof ErrnoError) return error.errno;
  if (error instanceof Error && "code" in error && typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code)) {
    return error.code;
  }
  return undefined;
}
