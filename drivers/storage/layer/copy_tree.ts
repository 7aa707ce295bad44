/** Copies a tree with everything that belongs to it. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  closeFd,
  type FileStatus,
  openAt,
  openDirectoryAt,
  openToReadAt,
  readDirectory,
  readlinkAt,
  statxAt,
  statxAtIfPresent,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  linkAt,
  mkdirAt,
  mknodAt,
  S_IF,
  setTimesAt,
  setTimesFd,
  symlinkAt,
  syncFileSystem,
} from "../../../runtime/host/fs_change_calls.ts";
import { FileDataCopier } from "../../../runtime/host/file_data.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "../../../runtime/host/openat2.ts";
import { readXattrs, readXattrsAt, setXattr, setXattrAt, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import { openPathFd } from "./deep_path.ts";
import type { TreeUsage } from "./engine.ts";
import { inodeKey } from "./tar_entries.ts";
import { absolutePath, changedMeanwhile, treeError } from "./tree_error.ts";
import { UsageCounter } from "./tree_usage.ts";
import { type WalkNode, walkTree } from "./walk_tree.ts";

/** Settings of a copy. */
export interface CopyOptions {
  /** Called once per entry and MiB; throws to end the work. */
  readonly check?: () => void;
  /** Told after each entry. */
  readonly onEntry?: (usage: TreeUsage) => void;
}

/** So many innermost target directories stay open. */
const OPEN_DIRECTORIES = 48;

/**
 * Copies the directory (or single file) `source` to `target`, which does not exist yet or is an empty directory.
 *
 * Owners, modes, times, extended attributes, hard links within the tree, devices, FIFOs and holes are kept; blocks are
 * shared where the file system can. Sockets are left out; where something is mounted only an empty directory or file is
 * made. One `syncfs` at the end: when it returns the copy is durable, except for the name of `target` itself.
 *
 * @returns what the copy takes on disk.
 * @throws `NOT_FOUND`, `ALREADY_EXISTS` (target is no empty directory), `RESOURCE_EXHAUSTED`, `PERMISSION_DENIED`; the
 * caller deletes what is there by then.
 */
export function copyTree(source: string, target: string, options: CopyOptions = {}): TreeUsage {
  const from = absolutePath(source);
  const seen = statxAtIfPresent(AT_FDCWD, from);
  if (seen === undefined) throw new LaminaError("NOT_FOUND", `Cannot copy "${source}": it does not exist`);
  const to = absolutePath(target);
  const copier = new TreeCopier(options);
  if (seen.type === "directory") return copier.copyDirectory(from, to);
  return copier.copySingle(from, to, seen);
}

class TreeCopier {
  readonly #check: () => void;
  readonly #onEntry: (usage: TreeUsage) => void;
  readonly #data = new FileDataCopier();
  readonly #usage = new UsageCounter();
  readonly #copied = new Map<string, { path: ByteString; left: number }>();
  /** Descriptors of the target directories from the root to the current one; -1 while closed. */
  readonly #open: number[] = [];

  constructor(options: CopyOptions) {
    this.#check = options.check ?? (() => {});
    this.#onEntry = options.onEntry ?? (() => {});
  }

  copySingle(from: ByteString, to: ByteString, status: FileStatus): TreeUsage {
    const [fromDirectory, name] = openParent(from);
    const [toDirectory, toName] = openParent(to);
    try {
      this.#open.push(toDirectory);
      const node = { phase: "enter", path: toName, name, parentFd: fromDirectory, fd: -1, depth: 0 } as const;
      this.#copyEntry({ ...node, status, mountPoint: false }, toName);
      syncFileSystem(toDirectory);
      return this.#usage.usage;
    } catch (error) {
      throw treeError("Cannot copy", from.slice(1) as ByteString, error);
    } finally {
      closeFd(fromDirectory);
      closeFd(toDirectory);
    }
  }

  copyDirectory(from: ByteString, to: ByteString): TreeUsage {
    const sourceFd = openAt(AT_FDCWD, from, O_RDONLY | O_DIRECTORY);
    try {
      this.#open.push(openTarget(to));
      for (const node of walkTree(sourceFd, { check: this.#check })) {
        try {
          if (node.phase === "leave") this.#leave(node);
          else if (node.fd >= 0) this.#enter(node);
          else this.#copyEntry(node, node.name);
        } catch (error) {
          throw treeError("Cannot copy", node.path, error);
        }
      }
      syncFileSystem(this.#open[0]!);
      return this.#usage.usage;
    } finally {
      closeFd(sourceFd);
      for (const fd of this.#open) if (fd >= 0) closeFd(fd);
    }
  }

  #enter(node: WalkNode): void {
    if (node.depth === 0) return;
    mkdirAt(this.#open.at(-1)!, node.name, 0o700);
    this.#open.push(openDirectoryAt(this.#open.at(-1)!, node.name));
    // Never the outermost: hard links are made from there.
    const outer = this.#open.length - 1 - OPEN_DIRECTORIES;
    if (outer > 0 && this.#open[outer]! >= 0) {
      closeFd(this.#open[outer]!);
      this.#open[outer] = -1;
    }
  }

  // Attributes come last: what is made below a directory changes its times, and its mode may forbid it.
  #leave(node: WalkNode): void {
    const fd = this.#open.at(-1)!;
    this.#finish(fd, node.status, readXattrs(node.fd));
    this.#count(statxFd(fd));
    if (node.depth === 0) return;
    const parent = this.#open.length - 2;
    if (this.#open[parent]! < 0) {
      this.#open[parent] = openAt(fd, ".." as ByteString, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    }
    this.#open.pop();
    closeFd(fd);
  }

  #copyEntry(node: WalkNode, name: ByteString): void {
    const { status } = node;
    const dirFd = this.#open.at(-1)!;
    if (status.type === "socket" || (node.mountPoint && status.type !== "file" && status.type !== "directory")) return;
    if (status.type === "directory") {
      mkdirAt(dirFd, name, status.mode & 0o777);
      this.#attributesAt(dirFd, name, status, []);
      return this.#count(statxAt(dirFd, name));
    }
    const first = this.#firstCopy(node);
    if (first !== undefined) {
      const slash = first.lastIndexOf("/");
      using parent = openPathFd(this.#open[0]!, first.slice(0, Math.max(slash, 0)) as ByteString);
      linkAt(parent.fd, first.slice(slash + 1) as ByteString, dirFd, name);
      return;
    }
    if (status.type === "file") return this.#copyFile(node, dirFd, name);
    if (status.type === "symlink") symlinkAt(readlinkAt(node.parentFd, node.name), dirFd, name);
    else if (status.type === "fifo") mknodAt(dirFd, name, S_IF.FIFO, 0o600);
    else {
      mknodAt(dirFd, name, status.type === "char" ? S_IF.CHR : S_IF.BLK, 0o600, status.rdevMajor, status.rdevMinor);
    }
    this.#attributesAt(dirFd, name, status, readXattrsAt(node.parentFd, node.name));
    this.#count(statxAt(dirFd, name));
  }

  #copyFile(node: WalkNode, dirFd: number, name: ByteString): void {
    let from: number | undefined;
    try {
      from = node.mountPoint ? undefined : openToReadAt(node.parentFd, node.name);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return this.#forget(node); // vanished
      throw error;
    }
    const to = openAt(dirFd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      let status = node.status;
      let xattrs: Xattrs = [];
      if (from !== undefined) {
        status = statxFd(from);
        if (status.type !== "file") throw changedMeanwhile("Cannot copy", node.path, "it was replaced");
        xattrs = readXattrs(from);
        this.#data.copy(from, to, status, this.#check);
      }
      this.#finish(to, status, xattrs);
      this.#count(statxFd(to));
    } finally {
      closeFd(to);
      if (from !== undefined) closeFd(from);
    }
  }

  // The kernel drops setuid bits and capabilities when the owner changes, and times move with every other change.
  #finish(fd: number, status: FileStatus, xattrs: Xattrs): void {
    chownFd(fd, status.uid, status.gid);
    for (const [attribute, value] of xattrs) tolerant(attribute, () => setXattr(fd, attribute, value));
    chmodFd(fd, status.mode);
    setTimesFd(fd, { s: status.mtime_s, ns: status.mtime_ns }, { s: status.atime_s, ns: status.atime_ns });
  }

  #attributesAt(dirFd: number, name: ByteString, status: FileStatus, xattrs: Xattrs): void {
    chownAt(dirFd, name, status.uid, status.gid);
    for (const [attribute, value] of xattrs) tolerant(attribute, () => setXattrAt(dirFd, name, attribute, value));
    if (status.type !== "symlink") chmodAt(dirFd, name, status.mode);
    setTimesAt(dirFd, name, { s: status.mtime_s, ns: status.mtime_ns }, { s: status.atime_s, ns: status.atime_ns });
  }

  #firstCopy(node: WalkNode): ByteString | undefined {
    if (node.status.nlink < 2) return undefined;
    const key = inodeKey(node.status);
    const known = this.#copied.get(key);
    if (known === undefined) {
      this.#copied.set(key, { path: node.path, left: node.status.nlink - 1 });
      return undefined;
    }
    if (--known.left === 0) this.#copied.delete(key);
    return known.path;
  }

  #forget(node: WalkNode): void {
    this.#copied.delete(inodeKey(node.status));
  }

  #count(status: FileStatus): void {
    this.#usage.addFirstName(status);
    this.#onEntry(this.#usage.usage);
  }
}

// Labels of the host's policy are set by the host; a target without that kind of attribute cannot keep it.
function tolerant(attribute: ByteString, set: () => void): void {
  try {
    set();
  } catch (error) {
    if (attribute.startsWith("security.") && attribute !== "security.capability" && isErrno(error, "EPERM")) return;
    throw error;
  }
}

function openTarget(target: ByteString): number {
  try {
    mkdirAt(AT_FDCWD, target, 0o700);
    return openAt(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw treeError("Cannot make", target.slice(1) as ByteString, error);
  }
  const fd = openAt(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (readDirectory(fd).length === 0) return fd;
  closeFd(fd);
  throw new LaminaError("ALREADY_EXISTS", `Cannot copy to "${target}": the directory is not empty`);
}

function openParent(path: ByteString): [number, ByteString] {
  const slash = path.lastIndexOf("/");
  const fd = openAt(AT_FDCWD, (path.slice(0, slash) || "/") as ByteString, O_RDONLY | O_DIRECTORY);
  return [fd, path.slice(slash + 1) as ByteString];
}
