/** Comparing inodes, and the list of what changed. */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import type { FileStatus } from "../../../runtime/host/fs_calls.ts";
import type { Xattrs } from "../../../runtime/host/xattr_calls.ts";
import type { Change } from "./types.ts";

/** A change with its path as bytes, relative to the tree. */
export interface TreeChange {
  readonly kind: Change["kind"];
  readonly path: ByteString;
}

/** As the port wants it. */
export function publicChange(change: TreeChange): Change {
  return { kind: change.kind, path: `/${displayName(change.path)}` };
}

/** Whether two inodes have the same type, owner, mode, size, times and device. Content and attributes are not looked at. */
export function sameStatus(a: FileStatus, b: FileStatus, options: { mtime: boolean } = { mtime: true }): boolean {
  return a.type === b.type && a.uid === b.uid && a.gid === b.gid &&
    (a.type === "symlink" || a.mode === b.mode) &&
    (a.type !== "file" || a.size_bytes === b.size_bytes) &&
    (!options.mtime || (a.mtime_s === b.mtime_s && a.mtime_ns === b.mtime_ns)) &&
    (a.type !== "char" && a.type !== "block" || (a.rdevMajor === b.rdevMajor && a.rdevMinor === b.rdevMinor));
}

/** Whether two lists of extended attributes are equal, under the names that `name` gives them. */
export function sameXattrs(a: Xattrs, b: Xattrs, name: (name: ByteString) => ByteString | undefined): boolean {
  return describe(a, name) === describe(b, name);
}

function describe(xattrs: Xattrs, name: (name: ByteString) => ByteString | undefined): string {
  if (xattrs.length === 0) return "";
  return xattrs.flatMap(([key, value]) => {
    const exported = name(key);
    return exported === undefined ? [] : [`${exported}=${value.join()}`];
  }).sort().join("\0");
}

/**
 * Directories that are entered and unchanged in themselves. They count as modified as soon as something below them is
 * found to have changed; until then they are held back here.
 */
export class HeldDirectories<T> {
  readonly #held: Array<{ readonly depth: number; readonly value: T }> = [];

  /** Holds a directory back. */
  hold(depth: number, value: T): void {
    this.#held.push({ depth, value });
  }

  /** Those that enclose a change that was just found, outermost first. */
  release(): T[] {
    return this.#held.splice(0).map(({ value }) => value);
  }

  /** The directory at `depth` is left: it is unchanged if it is still held. */
  leave(depth: number): void {
    if (this.#held.at(-1)?.depth === depth) this.#held.pop();
  }
}
