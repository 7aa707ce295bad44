/** What enforces the limits of snapshots in directories; which file systems can is each implementation's business. */
import type { RepairableFinding } from "./snapshot_trees.ts";

/** What a snapshot may take. Absent: as much as there is. */
export interface SnapshotLimit {
  readonly limit_bytes?: number;
  readonly limit_inodes?: number;
}

/** A snapshot that has one. */
export interface LimitedSnapshot extends SnapshotLimit {
  /** Everything that counts; the tree is the first of them. */
  readonly directories: readonly string[];
  /** For messages. */
  readonly key: string;
}

/** See the head of the file. The rows say what the limits are; this makes the file system agree. */
export interface TreeLimits {
  /** Called once, first: gives each snapshot the limit that its row says and takes away the limits of all others. */
  recover(snapshots: readonly LimitedSnapshot[]): Promise<void>;
  /** Puts new and empty directories, or a new tree that is a snapshot, under one limit. @throws `RESOURCE_EXHAUSTED` */
  limit(directories: readonly string[], limit: SnapshotLimit): void | Promise<void>;
  /** Changes the limit of a tree. @throws `INVALID_ARGUMENT` (it takes more already), `UNSUPPORTED`. */
  change(directory: string, limit_bytes: number): void | Promise<void>;
  /** Takes the limit of a tree away, if it has one. The tree may be gone. */
  lift(directory: string): void | Promise<void>;
  /** Lends a tree that is full what its next mount needs, for a few seconds. Absent where mounting takes nothing. */
  lendForMount?(directory: string, limit: SnapshotLimit): void;
  /** Takes back what is lent. */
  close?(): void;
  /** Snapshots whose limit is not in force, and limits of nothing. */
  check(snapshots: readonly LimitedSnapshot[]): RepairableFinding[];
}
