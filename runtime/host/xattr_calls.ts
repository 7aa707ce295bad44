/**
 * Extended attributes, by open descriptor or by directory descriptor and name; a final symbolic link is not followed.
 * A file system without them counts as one where nothing has any. Failures throw `ErrnoError`.
 */
import type { ByteString } from "../core/bytes.ts";
import { checked, cString, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";

/** Names and values, sorted by name (bytes). */
export type Xattrs = readonly (readonly [name: ByteString, value: Uint8Array<ArrayBuffer>])[];

const none: Xattrs = [];
// The kernel's limits: 64 KiB for a list, 64 KiB for a value.
const nameBuffer = new Uint8Array(65536);
const valueBuffer = new Uint8Array(65536);
const size = BigInt(65536);

/**
 * The path of `name` in the directory behind a descriptor. `/proc/self/fd/N` is followed, `name` is not.
 * An empty name stands for the descriptor itself, which must not be an `O_PATH` one of a symbolic link.
 */
export function procPath(dirFd: number, name: ByteString): ByteString {
  return `/proc/self/fd/${dirFd}${name === "" ? "" : "/"}${name}` as ByteString;
}

/** All extended attributes of an open file or directory. */
export function readXattrs(fd: number): Xattrs {
  return collect(
    Number(libc.flistxattr(fd, nameBuffer, size)),
    (name) => Number(libc.fgetxattr(fd, cString(name), valueBuffer, size)),
  );
}

/** All extended attributes of `name` in a directory. */
export function readXattrsAt(dirFd: number, name: ByteString): Xattrs {
  const path = procPath(dirFd, name);
  return collect(
    Number(libc.llistxattr(cString(path), nameBuffer, size)),
    (attribute) => Number(libc.lgetxattr(cString(path), cString(attribute), valueBuffer, size)),
  );
}

function collect(listed: number, get: (name: ByteString) => number): Xattrs {
  if (listed === 0) return none;
  if (listed < 0) {
    const error = new ErrnoError("listxattr", lastErrno(), "");
    if (isErrno(error, "EOPNOTSUPP")) return none;
    throw error;
  }
  const names = (String.fromCharCode.apply(null, nameBuffer.subarray(0, listed - 1) as unknown as number[]))
    .split("\0") as ByteString[];
  names.sort(); // byte strings sort as bytes do
  const found: [ByteString, Uint8Array<ArrayBuffer>][] = [];
  for (const name of names) {
    const length = get(name);
    if (length >= 0) found.push([name, valueBuffer.slice(0, length)]);
    else if (!isErrno(new ErrnoError("getxattr", lastErrno(), name), "ENODATA", "EOPNOTSUPP")) {
      // Removed between list and get, or a name without a reader, is no failure; the rest is.
      throw new ErrnoError("getxattr", lastErrno(), name);
    }
  }
  return found;
}

/** The value of one extended attribute of an open file or directory; `undefined` when it has none. */
export function getXattr(fd: number, attribute: ByteString): Uint8Array<ArrayBuffer> | undefined {
  return valueOf(Number(libc.fgetxattr(fd, cString(attribute), valueBuffer, size)), attribute);
}

/** As {@linkcode getXattr} for `name` in a directory. */
export function getXattrAt(
  dirFd: number,
  name: ByteString,
  attribute: ByteString,
): Uint8Array<ArrayBuffer> | undefined {
  const path = procPath(dirFd, name);
  return valueOf(Number(libc.lgetxattr(cString(path), cString(attribute), valueBuffer, size)), attribute);
}

function valueOf(length: number, attribute: ByteString): Uint8Array<ArrayBuffer> | undefined {
  if (length >= 0) return valueBuffer.slice(0, length);
  const error = new ErrnoError("getxattr", lastErrno(), attribute);
  if (isErrno(error, "ENODATA", "EOPNOTSUPP")) return undefined;
  throw error;
}

/** Sets one extended attribute of an open file or directory. */
export function setXattr(fd: number, attribute: ByteString, value: Uint8Array<ArrayBuffer>): void {
  checked(libc.fsetxattr(fd, cString(attribute), value, BigInt(value.length), 0), "fsetxattr", attribute);
}

/** As {@linkcode setXattr} for `name` in a directory. */
export function setXattrAt(
  dirFd: number,
  name: ByteString,
  attribute: ByteString,
  value: Uint8Array<ArrayBuffer>,
): void {
  const path = procPath(dirFd, name);
  checked(libc.lsetxattr(cString(path), cString(attribute), value, BigInt(value.length), 0), "lsetxattr", attribute);
}

/** Removes one extended attribute of an open file or directory; absent is success. */
export function removeXattr(fd: number, attribute: ByteString): void {
  if (libc.fremovexattr(fd, cString(attribute)) === 0) return;
  const error = new ErrnoError("fremovexattr", lastErrno(), attribute);
  if (!isErrno(error, "ENODATA", "EOPNOTSUPP")) throw error;
}

/** Removes one extended attribute of `name` in a directory; absent is success. */
export function removeXattrAt(dirFd: number, name: ByteString, attribute: ByteString): void {
  const path = procPath(dirFd, name);
  if (libc.lremovexattr(cString(path), cString(attribute)) === 0) return;
  const error = new ErrnoError("lremovexattr", lastErrno(), attribute);
  if (!isErrno(error, "ENODATA", "EOPNOTSUPP")) throw error;
}
