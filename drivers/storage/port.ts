/**
 * The storage driver port: containerd's snapshot verbs, each with one meaning.
 *
 * A **snapshot** is a file tree. *Committed*: read-only, immutable, has a name, may be a parent. *Active*: read-write,
 * has a key. *View*: read-only, has a key. Keys and names share one namespace per driver. Each snapshot has at most one
 * parent, and that is committed.
 *
 * What success means: the change survives `kill -9` and a power cut at the next instant. What fails or never returns is
 * undone by the driver's next {@linkcode StorageDriver.recover}. Verbs throw `NOT_FOUND`, `ALREADY_EXISTS`,
 * `INVALID_ARGUMENT`, `CONFLICT` (has children, wrong kind), `RESOURCE_EXHAUSTED` or `UNSUPPORTED`.
 */
import type { Mount } from "../../runtime/core/mount.ts";
import type { MountEntry } from "../../runtime/core/mountinfo.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import type { Digest, SnapshotKey } from "../../runtime/core/ids.ts";
import type { Transaction } from "../../runtime/store/store.ts";
import type { AppliedLayer, Change, LayerBlob, TarStream } from "./layer/types.ts";

/** Names of the storage drivers. */
export const STORAGE_DRIVER_NAMES = ["overlay", "vfs", "btrfs", "zfs", "devicemapper", "aufs"] as const;
/** One of {@linkcode STORAGE_DRIVER_NAMES}. */
export type StorageDriverName = typeof STORAGE_DRIVER_NAMES[number];

/** What a driver can do on this host. Absent means it cannot; the port never pretends. */
export interface DriverCapabilities {
  /** `size_bytes` of an active snapshot is enforced. */
  readonly quota: boolean;
  /** `inodes` of an active snapshot is enforced, too. */
  readonly inodeQuota?: boolean;
  /** Layers may be unpacked before their parents are there. */
  readonly parallelApply: boolean;
  /** Changes are found without comparing two whole trees. */
  readonly nativeDiff: boolean;
  /** Runs without root, in a user namespace. */
  readonly rootless: boolean;
  /** Copy-on-write shares blocks, so that prepare costs no copy. */
  readonly copyOnWrite: boolean;
}

/** `committed`, `active` or `view`. */
export type SnapshotKind = "committed" | "active" | "view";

/** What a driver knows of a snapshot. */
export interface SnapshotInfo {
  readonly key: SnapshotKey;
  readonly kind: SnapshotKind;
  /** Name of the committed parent; absent for a base. */
  readonly parent?: SnapshotKey;
  readonly labels: Readonly<Record<string, string>>;
  /** What the snapshot may take beyond its parent. Absent: as much as there is. */
  readonly limit_bytes?: number;
  /** The same in inodes. */
  readonly limit_inodes?: number;
  /** Milliseconds since the epoch. */
  readonly createdAt_ms: number;
  /** Milliseconds since the epoch; moves with `update`, `setLimit` and `commit`. */
  readonly updatedAt_ms: number;
}

/** Space that a snapshot takes beyond its parent. */
export interface Usage {
  /** Bytes on disk (blocks), each hard-linked file counted once. */
  readonly size_bytes: number;
  /** Inodes. */
  readonly inodes: number;
}

/** Options of `prepare` and `view`. */
export interface PrepareOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** Limit of the RW layer. A driver without the capability `quota` throws `UNSUPPORTED`, it never ignores it. */
  readonly size_bytes?: number;
  /** Limit of the RW layer's inodes. A driver without the capability `inodeQuota` throws `UNSUPPORTED`. */
  readonly inodes?: number;
  /** See {@linkcode Alongside}. */
  readonly alongside?: Alongside;
  /**
   * Called once with the mounts of the new snapshot, as soon as its tree can be used and before tree and row are durable:
   * mounting may go on while the disk is waited for. Only `prepare` calls it. What is made of it is the caller's to
   * await. When `prepare` fails, it calls `stop` of what was returned and waits for it; a process that dies meanwhile
   * leaves a mount of a tree without a row, and whoever mounts takes that away at its next start.
   */
  readonly whenUsable?: (mounts: Mount[]) => { stop(): Promise<void> };
}

/**
 * Rows of the caller that become true in the very commit that makes a snapshot appear (`prepare`, `view`, `apply`), disappear
 * (`remove`) or change (`setLimit`): one commit instead of three, and no moment in which only one of the two exists. When it throws, the verb
 * fails with that error and nothing has changed. A driver whose rows are not in the store runs it in a write directly
 * after its own change; the next start then removes a snapshot that nobody has a row for.
 */
export type Alongside = (tx: Transaction) => void;

/** Which snapshots `walk` yields; all given conditions must hold. */
export interface SnapshotFilter {
  readonly kind?: SnapshotKind;
  /** Name of the parent; `""` means: has none. */
  readonly parent?: string;
  readonly keyPrefix?: string;
  /** Each label must exist with that value; an empty value means: exists. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** What `apply` is asked. */
export interface ApplyRequest {
  /**
   * Name of the committed snapshot to make: the layer's chainID. A function where the diffID is only known once the
   * archive was read (a rootfs tar, a container's changes): called once, after all checks and before the commit; when
   * that name exists already, `apply` drops what it made and throws `ALREADY_EXISTS`.
   */
  readonly name: SnapshotKey | ((diffId: Digest) => SnapshotKey);
  readonly parent?: SnapshotKey;
  /**
   * Resolves when `parent` is committed and rejects when it never will be. A driver with the capability
   * `parallelApply` unpacks meanwhile and awaits it before it commits; the others await it first.
   */
  readonly parentReady: Promise<unknown>;
  readonly blob: LayerBlob;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where the recipe of the original archive goes (see `layer/recipe.ts`); written before the commit. */
  readonly recipePath: string;
  /** See {@linkcode Alongside}; told what was applied. */
  readonly alongside?: (tx: Transaction, applied: AppliedLayer) => void;
}

/** A leftover that {@linkcode StorageDriver.check} found. */
export interface Finding {
  /** `orphan-directory`, `missing-directory`, `stale-mount`, `unknown-device`, … */
  readonly kind: string;
  /** Path, device or row it is about. */
  readonly object: string;
  /** What is wrong, in a sentence. */
  readonly message: string;
  /** Whether `--repair` can make it agree without touching user data. */
  readonly repairable: boolean;
}

/** One storage driver on one root. */
export interface StorageDriver extends AsyncDisposable {
  readonly name: StorageDriverName;
  readonly capabilities: DriverCapabilities;
  /** Facts for `lamina info`: decisions on kernel features, backing file system, and why. */
  readonly status: Readonly<Record<string, string>>;

  /** Finishes or undoes what a crash interrupted. Called once, before any other verb. Deletes only what has no row. */
  recover(operation: Operation): Promise<void>;

  /** Makes an active snapshot on `parent` (absent: empty) and returns its mounts, without target. */
  prepare(
    key: SnapshotKey,
    parent: SnapshotKey | undefined,
    options: PrepareOptions,
    operation: Operation,
  ): Promise<Mount[]>;
  /** Makes a read-only view of a committed snapshot and returns its mounts. */
  view(
    key: SnapshotKey,
    parent: SnapshotKey | undefined,
    options: PrepareOptions,
    operation: Operation,
  ): Promise<Mount[]>;
  /** The mounts of an active snapshot or a view. Data only; nothing is mounted. */
  mounts(key: SnapshotKey): Promise<Mount[]>;
  /**
   * Whether `entry` of the mount table shows the snapshot, and not something that somebody else has mounted.
   *
   * @param table The other entries.
   * @throws `NOT_FOUND`
   */
  isShownBy(key: SnapshotKey, entry: MountEntry, table: readonly MountEntry[]): boolean;
  /** Turns the active snapshot `key` into the committed snapshot `name`. It must not be mounted read-write any more. */
  commit(
    name: SnapshotKey,
    key: SnapshotKey,
    options: { labels?: Readonly<Record<string, string>> },
    operation: Operation,
  ): Promise<void>;

  stat(key: SnapshotKey): Promise<SnapshotInfo>;
  /** What the snapshot takes beyond its parent; computed once for committed ones. */
  usage(key: SnapshotKey, operation: Operation): Promise<Usage>;
  walk(filter?: SnapshotFilter): AsyncIterable<SnapshotInfo>;
  /** Replaces the labels: nothing else of a snapshot can be changed. A key with an empty value is removed. */
  update(key: SnapshotKey, labels: Readonly<Record<string, string>>): Promise<SnapshotInfo>;
  /**
   * Changes how much an active snapshot may take beyond its parent. A driver without the capability `quota` throws
   * `UNSUPPORTED`; less than what is taken already may be refused (`INVALID_ARGUMENT`).
   */
  setLimit(
    key: SnapshotKey,
    size_bytes: number,
    operation: Operation,
    options?: { readonly alongside?: Alongside },
  ): Promise<SnapshotInfo>;
  /** Removes a snapshot without children. Space may be freed later, by {@linkcode cleanup}. */
  remove(key: SnapshotKey, operation: Operation, options?: { readonly alongside?: Alongside }): Promise<void>;
  /** Frees what removed snapshots left. Safe at any time, idempotent. */
  cleanup(operation: Operation): Promise<void>;

  /**
   * Takes away what the driver has outside of its own directory, which goes afterwards: pools, datasets, devices. Called
   * when the driver will not be used again; only disposing it follows.
   *
   * @throws `CONFLICT` while there are snapshots, or where something lies that Lamina did not make.
   */
  retire(operation: Operation): Promise<void>;

  /** Makes a committed snapshot of one layer. All checks of the blob pass before anything is visible. */
  apply(request: ApplyRequest, operation: Operation): Promise<AppliedLayer>;
  /** The changes of a snapshot against its parent, sorted by path. */
  changes(key: SnapshotKey, operation: Operation): AsyncIterable<Change>;
  /** The same as a reproducible layer tar. */
  diff(key: SnapshotKey, operation: Operation): TarStream;
  /** The original archive of an applied layer, byte for byte; `DATA_LOSS` if the tree no longer gives `diffId`. */
  reassemble(name: SnapshotKey, recipePath: string, diffId: Digest, operation: Operation): TarStream;

  /** Compares rows with the disk. Changes nothing unless `repair`. */
  check(options: { repair: boolean }, operation: Operation): Promise<Finding[]>;
}
