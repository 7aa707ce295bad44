/** Deletes a tree: by descriptors, never through a link, never across a mount point, to any depth. */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  closeFd,
  type DirectoryEntry,
  openAt,
  openDirectoryAt,
  readDirectoryPart,
  rewindDirectory,
  statxAtIfPresent,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import { rmdirAt, unlinkAt } from "../../../runtime/host/fs_change_calls.ts";
import { clearImmutable } from "../../../runtime/host/inode_flags.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { absolutePath, treeError } from "./tree_error.ts";

interface Frame {
  readonly name: ByteString;
  readonly ino: bigint;
  /** -1 while closed to save descriptors. */
  fd: number;
  entries: readonly DirectoryEntry[];
  next: number;
  /** It was found not to be empty after all was deleted: somebody adds to it. */
  attempts: number;
}

/** So many innermost directories stay open. */
const OPEN_DIRECTORIES = 48;
const MAX_ATTEMPTS = 8;

/**
 * Deletes `path` and everything below it. Absent is success. Needs no space on the disk.
 *
 * The directory that holds `path` is found through links as usual; `path` itself and what is below it are not.
 *
 * @param check Called once per entry; throws to end the work. What is deleted by then stays deleted.
 * @throws `CONFLICT` where something is mounted on or in the tree (names it; nothing on that mount is touched) or
 * where new files keep appearing; `PERMISSION_DENIED`, `UNAVAILABLE` (read-only).
 */
export function removeTree(path: string, check: () => void = () => {}): void {
  const bytes = absolutePath(path.replace(/\/+$/, ""));
  const slash = bytes.lastIndexOf("/");
  const name = bytes.slice(slash + 1) as ByteString;
  if (name === "" || name === "." || name === "..") {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot remove "${path}": the path names no entry of a directory`);
  }
  let parentFd: number;
  try {
    parentFd = openAt(AT_FDCWD, (bytes.slice(0, slash) || "/") as ByteString, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return;
    throw treeError("Cannot remove", bytes.slice(1) as ByteString, error);
  }
  try {
    new TreeRemover(path, parentFd, check).remove(name);
  } finally {
    closeFd(parentFd);
  }
}

class TreeRemover {
  readonly #path: string;
  readonly #parentFd: number;
  readonly #check: () => void;
  readonly #mountId: bigint;
  readonly #stack: Frame[] = [];

  constructor(path: string, parentFd: number, check: () => void) {
    this.#path = path;
    this.#parentFd = parentFd;
    this.#check = check;
    this.#mountId = statxFd(parentFd).mountId;
  }

  remove(name: ByteString): void {
    const status = statxAtIfPresent(this.#parentFd, name);
    if (status === undefined) return;
    try {
      this.#removeEntry(this.#parentFd, { name, type: status.type });
      while (this.#stack.length > 0) this.#step(this.#stack.at(-1)!);
    } finally {
      for (const frame of this.#stack) if (frame.fd >= 0) closeFd(frame.fd);
    }
  }

  #step(frame: Frame): void {
    this.#check();
    if (frame.next < frame.entries.length) return this.#removeEntry(frame.fd, frame.entries[frame.next++]!);
    const more = this.#guarded(frame.name, () => readDirectoryPart(frame.fd));
    if (more === undefined) return this.#leave(frame);
    frame.entries = more;
    frame.next = 0;
  }

  #removeEntry(dirFd: number, entry: DirectoryEntry): void {
    const { name } = entry;
    if (entry.type !== "directory" && this.#unlink(dirFd, name)) return;
    const fd = this.#guarded(name, () => {
      try {
        return openDirectoryAt(dirFd, name);
      } catch (error) {
        if (isErrno(error, "ENOENT")) return undefined;
        if (!isErrno(error, "ENOTDIR", "ELOOP")) throw error;
        this.#unlink(dirFd, name); // replaced by a file meanwhile
        return undefined;
      }
    });
    if (fd === undefined) return;
    const status = statxFd(fd);
    if (status.mountId !== this.#mountId) {
      closeFd(fd);
      throw this.#mounted(name);
    }
    this.#stack.push({ name, ino: status.ino, fd, entries: [], next: 0, attempts: 0 });
    const outer = this.#stack[this.#stack.length - 1 - OPEN_DIRECTORIES];
    if (outer !== undefined && outer.fd >= 0) {
      closeFd(outer.fd);
      outer.fd = -1;
    }
  }

  // Whether the name is gone; false when it is a directory.
  #unlink(dirFd: number, name: ByteString): boolean {
    return this.#guarded(name, () => {
      try {
        unlinkAt(dirFd, name);
      } catch (error) {
        if (isErrno(error, "ENOENT")) return true;
        if (isErrno(error, "EISDIR")) return false;
        if (!isErrno(error, "EPERM") || !clearImmutable(dirFd, name)) throw error;
        unlinkAt(dirFd, name);
      }
      return true;
    });
  }

  #leave(frame: Frame): void {
    const parent = this.#stack.at(-2);
    const parentFd = parent === undefined ? this.#parentFd : this.#reopened(parent, frame);
    const gone = this.#guarded(frame.name, () => {
      try {
        rmdirAt(parentFd, frame.name);
        return true;
      } catch (error) {
        if (isErrno(error, "ENOENT")) return true;
        if (isErrno(error, "ENOTEMPTY", "EEXIST") && ++frame.attempts < MAX_ATTEMPTS) return false;
        if (!isErrno(error, "EPERM") || !clearImmutable(parentFd, frame.name)) throw error;
        rmdirAt(parentFd, frame.name);
        return true;
      }
    });
    if (!gone) {
      rewindDirectory(frame.fd);
      frame.entries = [];
      frame.next = 0;
      return;
    }
    this.#stack.pop();
    closeFd(frame.fd);
  }

  // Reading goes on from the start: what was read before is deleted.
  #reopened(parent: Frame, child: Frame): number {
    if (parent.fd >= 0) return parent.fd;
    const fd = this.#guarded(
      parent.name,
      () => openAt(child.fd, ".." as ByteString, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    );
    const status = statxFd(fd);
    if (status.ino !== parent.ino || status.mountId !== this.#mountId) {
      closeFd(fd);
      throw new LaminaError(
        "CONFLICT",
        `Cannot remove "${this.#path}": the directory "${
          displayName(parent.name)
        }" in it was moved meanwhile. Try again`,
      );
    }
    parent.fd = fd;
    parent.entries = [];
    parent.next = 0;
    return fd;
  }

  #guarded<T>(name: ByteString, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isErrno(error, "EBUSY")) throw this.#mounted(name);
      throw treeError(`Cannot remove "${this.#path}", stuck at`, this.#pathOf(name), error);
    }
  }

  #pathOf(name: ByteString): ByteString {
    const names = this.#stack.map((frame) => frame.name);
    if (names.at(-1) !== name) names.push(name);
    return names.slice(1).join("/") as ByteString;
  }

  #mounted(name: ByteString): LaminaError {
    const inside = displayName(this.#pathOf(name)).slice(0, 300);
    return new LaminaError(
      "CONFLICT",
      `Cannot remove "${this.#path}": something is mounted on "${inside === "" ? this.#path : inside}"${
        inside === "" ? "" : " in it"
      }. Unmount it first`,
      { details: { path: this.#path } },
    );
  }
}
