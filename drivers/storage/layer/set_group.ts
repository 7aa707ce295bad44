/**
 * Gives every file of a tree a group, and that group what the owner has: Kubernetes' `fsGroup`. By descriptors, never
 * through a link, never across a mount point; the top comes last, so that its group says that all below it is done.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, type FileStatus, openAt, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { setGroupAndMode } from "../../../runtime/host/group_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { absolutePath, changedMeanwhile, treeError } from "./tree_error.ts";
import { walkTree } from "./walk_tree.ts";

/** What a tree is to be given. */
export interface GroupRequest {
  /** Absolute path of a directory or file. */
  readonly path: string;
  readonly gid: number;
  /** The group may read only. */
  readonly read_only: boolean;
  /** Nothing is done where the top has the group and its rights already. */
  readonly onMismatch: boolean;
}

/** How a tree was given its group. */
export interface GroupResult {
  /** Inodes whose group or mode was changed. */
  readonly changed: number;
  /** Inodes looked at; 0: the top had it already. */
  readonly inodes: number;
}

const SETGID = 0o2000;
/** For directories: to enter them, and that what is made in them gets the group. */
const DIRECTORY = SETGID | 0o110;

/**
 * Files become `|0660` (read-only `|0440`), directories also setgid `|0110`; links keep their mode.
 *
 * @param check Called once per entry; throws to end the work.
 * @param onEntry Called with the inodes so far.
 * @throws `NOT_FOUND`, `UNAVAILABLE` (read-only file system), `PERMISSION_DENIED`, `UNSUPPORTED`; names the file.
 */
export function setGroup(
  { path, gid, read_only, onMismatch }: GroupRequest,
  options: { readonly check?: () => void; readonly onEntry?: (inodes: number) => void } = {},
): GroupResult {
  const bytes = absolutePath(path);
  const wish: Wish = { gid, access: accessFor(read_only) };
  const attempted = `Cannot give "${path}" the group ${gid}, stuck at`;
  try {
    const top = statxAtIfPresent(AT_FDCWD, bytes);
    if (top !== undefined && onMismatch && isDone(top, wish)) return { changed: 0, inodes: 0 };
    if (top !== undefined && top.type !== "directory") {
      return { changed: Number(give(AT_FDCWD, bytes, top, wish)), inodes: 1 };
    }
    const fd = openAt(AT_FDCWD, bytes, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      return giveTree(fd, bytes, wish, attempted, options);
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    throw treeError(attempted, bytes.slice(1) as ByteString, error);
  }
}

/** Whether the top has the group already: by its being last, all below it has. */
export function hasGroup({ path, gid, read_only }: GroupRequest): boolean {
  const top = statxAtIfPresent(AT_FDCWD, absolutePath(path));
  return top !== undefined && isDone(top, { gid, access: accessFor(read_only) });
}

function accessFor(readOnly: boolean): number {
  return readOnly ? 0o440 : 0o660;
}

interface Wish {
  readonly gid: number;
  readonly access: number;
}

function giveTree(
  fd: number,
  path: ByteString,
  wish: Wish,
  attempted: string,
  { check, onEntry }: { readonly check?: () => void; readonly onEntry?: (inodes: number) => void },
): { changed: number; inodes: number } {
  let changed = 0;
  let inodes = 0;
  for (const node of walkTree(fd, { check })) {
    // A directory after all that is in it.
    if (node.phase === "enter" && node.status.type === "directory") continue;
    if (node.depth > 0 && node.mountPoint) continue;
    try {
      const done = node.depth === 0
        ? give(AT_FDCWD, path, node.status, wish)
        : give(node.parentFd, node.name, node.status, wish);
      if (done) changed++;
    } catch (error) {
      if (isErrno(error, "ENOENT")) continue;
      throw treeError(attempted, node.path, error);
    }
    inodes++;
    onEntry?.(inodes);
  }
  return { changed, inodes };
}

/** Whether something had to be changed. */
function give(dirFd: number, name: ByteString, status: FileStatus, wish: Wish): boolean {
  if (isDone(status, wish)) return false;
  const fd = openAt(dirFd, name, O_PATH | O_NOFOLLOW);
  try {
    setGroupAndMode(fd, wish.gid, (found) => {
      if (found.type !== status.type) throw changedMeanwhile("Cannot set the group of", name, "it was replaced");
      return found.type === "symlink" ? undefined : found.mode | bitsFor(found, wish);
    });
  } finally {
    closeFd(fd);
  }
  return true;
}

function isDone(status: FileStatus, wish: Wish): boolean {
  if (status.gid !== wish.gid) return false;
  const bits = bitsFor(status, wish);
  return status.type === "symlink" || (status.mode & bits) === bits;
}

function bitsFor({ type }: FileStatus, { access }: Wish): number {
  return type === "directory" ? access | DIRECTORY : access;
}
