/** Small trees beneath an open directory: looking at them, comparing, deleting. No link is followed. */
import { type ByteString, byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { rmdirAt, unlinkAt } from "./fs_change_calls.ts";
import {
  closeFd,
  type FileStatus,
  openDirectoryAt,
  openToReadAt,
  readDirectory,
  readFd,
  statxAt,
  statxAtIfPresent,
} from "./fs_calls.ts";
import { O_RDONLY, openat2, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS } from "./openat2.ts";

/** Opens a path beneath a directory without following any link. */
export function openBelow(top: number, path: string, flags: number): number {
  return openat2(top, byteStringFromText(path), { flags, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS });
}

/** Attributes of a path beneath a directory; of a link, not its target. */
export function statxBelow(top: number, path: string): FileStatus {
  const slash = path.lastIndexOf("/");
  if (slash < 0) return statxAt(top, byteStringFromText(path));
  const parent = openBelow(top, path.slice(0, slash), O_RDONLY);
  try {
    return statxAt(parent, byteStringFromText(path.slice(slash + 1)));
  } finally {
    closeFd(parent);
  }
}

/** Whether a file beneath a directory has exactly this content. */
export function sameContent(top: number, path: string, content: Uint8Array): boolean {
  const slash = path.lastIndexOf("/");
  const parent = slash < 0 ? top : openBelow(top, path.slice(0, slash), O_RDONLY);
  try {
    const fd = openToReadAt(parent, byteStringFromText(path.slice(slash + 1)));
    try {
      const found = new Uint8Array(content.length + 1);
      let length = 0;
      for (let count = -1; count !== 0 && length < found.length; length += count) {
        count = readFd(fd, found.subarray(length));
      }
      return length === content.length && content.every((byte, at) => found[at] === byte);
    } finally {
      closeFd(fd);
    }
  } finally {
    if (parent !== top) closeFd(parent);
  }
}

/** All paths in a directory, as byte strings. */
export function listTree(top: number, prefix = ""): string[] {
  return readDirectory(top).flatMap((entry) => {
    const path = prefix + entry;
    if (statxAt(top, entry).type !== "directory") return [path];
    const fd = openDirectoryAt(top, entry);
    try {
      return [path, ...listTree(fd, `${path}/`)];
    } finally {
      closeFd(fd);
    }
  });
}

/** {@linkcode removeAt} for what the next call would remove as well. */
export function tryRemove(dirFd: number, entry: ByteString): void {
  try {
    removeAt(dirFd, entry);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** Deletes a small tree or a name. Absent: success. Never through a link, never across a mount. */
export function removeAt(dirFd: number, entry: ByteString): void {
  const status = statxAtIfPresent(dirFd, entry);
  if (status === undefined) return;
  if (status.type !== "directory") return unlinkAt(dirFd, entry);
  if (status.mountRoot) {
    throw new LaminaError("CONFLICT", `Cannot remove ${JSON.stringify(entry)}: it is a mount point`);
  }
  const fd = openDirectoryAt(dirFd, entry);
  try {
    for (const inner of readDirectory(fd)) removeAt(fd, inner);
  } finally {
    closeFd(fd);
  }
  rmdirAt(dirFd, entry);
}
