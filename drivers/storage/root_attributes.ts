/** The top directory of a new upper layer: what a container sees of its root's attributes comes from there alone. */
import { type ByteString, byteStringFromText } from "../../runtime/core/bytes.ts";
import { closeFd, openDirectoryAt, statxFd } from "../../runtime/host/fs_calls.ts";
import { chmodFd, chownFd, setTimesFd } from "../../runtime/host/fs_change_calls.ts";
import { isErrno } from "../../runtime/host/libc.ts";
import { AT_FDCWD } from "../../runtime/host/openat2.ts";
import { readXattrs, setXattr } from "../../runtime/host/xattr_calls.ts";

/** Attributes that overlayfs keeps for itself: those of one layer mean nothing in another. */
const controlAttribute = /^(trusted|user)\.overlay\./;

/** Copies owner, mode, extended attributes (access control lists included) and modification time of a directory. */
export function copyRootAttributes(from: string, to: string): void {
  const source = openDirectoryAt(AT_FDCWD, byteStringFromText(from));
  try {
    const target = openDirectoryAt(AT_FDCWD, byteStringFromText(to));
    try {
      const { uid, gid, mode, mtime_s, mtime_ns } = statxFd(source);
      chownFd(target, uid, gid);
      for (const [name, value] of readXattrs(source)) {
        if (!controlAttribute.test(name)) copyAttribute(target, name, value);
      }
      chmodFd(target, mode);
      setTimesFd(target, { s: mtime_s, ns: mtime_ns });
    } finally {
      closeFd(target);
    }
  } finally {
    closeFd(source);
  }
}

function copyAttribute(fd: number, name: ByteString, value: Uint8Array<ArrayBuffer>): void {
  try {
    setXattr(fd, name, value);
  } catch (error) {
    // Security modules give each new directory their own label and may refuse a copy of another's.
    if (!name.startsWith("security.") || !isErrno(error, "EPERM", "EOPNOTSUPP", "EACCES")) throw error;
  }
}
