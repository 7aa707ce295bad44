/** What a tree takes on disk. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { writtenSince } from "../../../runtime/host/btrfs_changes.ts";
import { closeFd, type FileStatus, openAt, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import type { TreeUsage } from "./engine.ts";
import { inodeKey } from "./tar_entries.ts";
import { absolutePath, treeError } from "./tree_error.ts";
import { TreeWalk, walkTree } from "./walk_tree.ts";

/** Adds inodes up, each once. */
export class UsageCounter {
  #size_bytes = 0;
  #inodes = 0;
  readonly #linked = new Set<string>();

  /** The sum so far. */
  get usage(): TreeUsage {
    return { size_bytes: this.#size_bytes, inodes: this.#inodes };
  }

  /** Adds an inode unless another of its names was added before. */
  add(status: FileStatus): void {
    if (status.nlink > 1 && status.type !== "directory") {
      const key = inodeKey(status);
      if (this.#linked.has(key)) return;
      this.#linked.add(key);
    }
    this.addFirstName(status);
  }

  /** Adds an inode that is known to be new. */
  addFirstName(status: FileStatus): void {
    this.#size_bytes += status.blocks * 512;
    this.#inodes++;
  }
}

/** What the btrfs subvolume at `path` has written since a transaction. */
export function treeWritten(path: string, since: bigint, check?: () => void): TreeUsage {
  const bytes = absolutePath(path);
  try {
    const fd = openAt(AT_FDCWD, bytes, O_RDONLY | O_DIRECTORY);
    try {
      return writtenSince(fd, since, check);
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    throw treeError("Cannot measure", bytes.slice(1) as ByteString, error);
  }
}

/**
 * Blocks and inodes of a tree (or a single file) on its own file system, each hard-linked file once, the top included.
 *
 * @throws `NOT_FOUND`.
 */
export function treeUsage(path: string, check?: () => void): TreeUsage {
  const bytes = absolutePath(path);
  const counter = new UsageCounter();
  const top = statxAtIfPresent(AT_FDCWD, bytes);
  if (top === undefined) throw new LaminaError("NOT_FOUND", `Cannot measure "${path}": it does not exist`);
  if (top.type !== "directory") {
    counter.add(top);
    return counter.usage;
  }
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, bytes, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw treeError("Cannot measure", bytes.slice(1) as ByteString, error);
  }
  try {
    for (const node of walkTree(fd, { check })) {
      if (node.phase === "enter" && !node.mountPoint) counter.add(node.status);
    }
  } finally {
    closeFd(fd);
  }
  return counter.usage;
}

/** A tree is small up to so many inodes: about a millisecond's work. */
const SMALL_INODES = 200;
/** The size of a directory tells how long its listing is, on every file system that has one. */
const SMALL_DIRECTORY_BYTES = 32_768;

/**
 * The same for a small tree, and `undefined` for one that should be measured elsewhere than in the caller's thread.
 *
 * @throws `NOT_FOUND`.
 */
export function smallTreeUsage(path: string): TreeUsage | undefined {
  const bytes = absolutePath(path);
  const top = statxAtIfPresent(AT_FDCWD, bytes);
  if (top === undefined) throw new LaminaError("NOT_FOUND", `Cannot measure "${path}": it does not exist`);
  if (top.type !== "directory") return undefined;
  const counter = new UsageCounter();
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, bytes, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw treeError("Cannot measure", bytes.slice(1) as ByteString, error);
  }
  try {
    using walk = new TreeWalk(fd);
    for (let node = walk.next(); node !== undefined; node = walk.next()) {
      if (node.phase === "leave" || node.mountPoint) continue;
      counter.add(node.status);
      const tooLong = node.status.type === "directory" && node.status.size_bytes > SMALL_DIRECTORY_BYTES;
      if (tooLong || counter.usage.inodes > SMALL_INODES) return undefined;
    }
    return counter.usage;
  } finally {
    closeFd(fd);
  }
}
