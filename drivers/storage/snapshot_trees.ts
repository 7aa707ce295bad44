/**
 * Where the trees of a driver's snapshots live: directories, subvolumes, datasets, thin devices. This is all that the
 * drivers differ in below their verbs, which `snapshot_driver.ts` has once for all of them.
 *
 * A tree is named by its row's id. The row is what makes a tree count: it is written when the tree is complete and
 * durable, and deleted before the tree goes. So a tree without a row is nobody's, at any instant.
 */
import type { MountEntry } from "../../runtime/core/mountinfo.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import type { Finding, Usage } from "./port.ts";
import type { SnapshotMount } from "./snapshot_mounts.ts";
import type { SnapshotRow } from "./snapshot_store.ts";

/** A tree to be. */
export interface NewTree {
  /** `active`: for somebody to write to, synced. `layer`: for an archive to be unpacked into; it is sealed before its row. */
  readonly purpose: "active" | "layer";
  /** The committed snapshot that it starts as. Absent: it starts empty, its root 0755 and of root. */
  readonly parent?: number;
  /** See `PrepareOptions.size_bytes`. Only for drivers with the capability `quota`. */
  readonly limit_bytes?: number;
  /** See `PrepareOptions.inodes`. Only for drivers with the capability `inodeQuota`. */
  readonly limit_inodes?: number;
  /** Called when the tree is complete, before it is durable. Whoever makes trees may leave it to the caller of `make`. */
  readonly whenComplete?: () => void;
}

/** A tree at a path, until it is given back by disposing it. */
export interface ReachedTree extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
}

/** What lies there. */
export interface TreeListing {
  /** Ids that something is named by; not those that have been discarded. Trees that are just being made are listed too. */
  readonly ids: ReadonlySet<number>;
  /** Names (paths, datasets, devices) that Lamina did not make. */
  readonly strangers: readonly string[];
}

/** A finding and what makes it go away. */
export interface RepairableFinding extends Finding {
  readonly repair?: () => Promise<void>;
}

/** See the head of the file. */
export interface SnapshotTrees extends AsyncDisposable {
  /** What a tree is, for findings: `directory`, `dataset`, `device`. */
  readonly noun: string;
  /** Absolute path of an empty directory that stays empty: the view of nothing. */
  readonly empty: string;

  /**
   * Called once, first: makes what is missing, discards every tree that is in none of `rows`, finishes or undoes what a
   * crash has interrupted at the others.
   *
   * @param store Identity of the store that holds the rows.
   * @throws `DATA_LOSS` when the trees belong to another store: without their rows all of them would look like
   * leftovers. `UNAVAILABLE`, `CONFLICT`, …
   */
  recover(store: string, rows: readonly SnapshotRow[], operation: Operation): Promise<void>;

  /**
   * Makes a tree. When it throws, nothing of it is left.
   *
   * @throws `RESOURCE_EXHAUSTED`, `ALREADY_EXISTS` (something is in the way; it is not touched), `UNAVAILABLE`.
   */
  make(id: number, tree: NewTree, operation: Operation): Promise<void>;

  /**
   * Brings a tree to a path. `write`: somebody will change it; never asked for a committed one. Several may have it at a
   * time.
   */
  reach(id: number, access: "read" | "write", operation: Operation): Promise<ReachedTree>;

  /**
   * Called before the row says `committed`: all that was written is on the disk, and the tree can be a parent.
   *
   * @param synced The tree was written by the layer engine, which has synced the file system since.
   */
  seal(id: number, synced: boolean, operation: Operation): Promise<void>;
  /** The commit failed after {@linkcode seal}: the tree is active again. Idempotent. */
  unseal(id: number): Promise<void>;
  /** Called after the row says `committed`: takes away what only an active snapshot needs. */
  settle(id: number): Promise<void>;

  /** What the tree takes beyond its parent's. */
  usage(id: number, parent: number | undefined, operation: Operation): Promise<Usage>;
  /** Changes the limit of an active tree. Absent where the driver has no quota. */
  setLimit?(id: number, limit_bytes: number, operation: Operation): Promise<void>;

  /** Takes a tree away, be it whole or broken; its space is freed in the background. Absent is success. */
  discard(id: number): Promise<void>;
  /** Frees what was discarded and waits for it. Goes on after a failure and throws the first at the end. */
  freeDiscarded(operation: Operation): Promise<void>;
  /** Why freeing failed in the background, if it did, and where. */
  readonly freeingFailure: { readonly object: string; readonly message: string } | undefined;

  /** What a tree is called in messages: its path, dataset or device. */
  nameOf(id: number): string;
  /** The mounts that show one of the trees. */
  shownBy(entries: readonly MountEntry[]): SnapshotMount[];
  list(operation: Operation): Promise<TreeListing>;
  /** Whether the tree of a snapshot is there. `listing` was made just before. */
  isWhole(id: number, listing: TreeListing): boolean;
  /** What else is wrong. `listing` was made just before. */
  check(rows: readonly SnapshotRow[], operation: Operation, listing: TreeListing): Promise<RepairableFinding[]>;

  /**
   * Takes away what was made besides the trees: a pool, a dataset. No tree is left. Absent where there is nothing.
   *
   * @throws `CONFLICT` when something is in there that Lamina did not make: nothing has changed then.
   */
  retire?(operation: Operation): Promise<void>;
}
