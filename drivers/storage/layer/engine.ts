/**
 * The layer engine: everything that walks, reads or writes whole file trees. It does so byte-safely (names are bytes),
 * beneath a root (no link or `..` ever leads out of it), and in workers, so that the daemon's event loop stays free.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { Digest } from "../../../runtime/core/ids.ts";
import type { ConvertedForm } from "./convert_whiteouts.ts";
import type { GroupRequest, GroupResult } from "./set_group.ts";
import type { LayerForm } from "./whiteout_marks.ts";
import type { AppliedLayer, Change, LayerBlob, LayerLimits, TarStream } from "./types.ts";

/**
 * What a whiteout becomes:
 * - `overlay`: character device 0/0, opaque by `trusted.overlay.opaque`; the directory holds this layer only.
 * - `overlay-user`: the same with `user.overlay.opaque`, for user namespaces.
 * - `delete`: the directory holds a copy of the parent; what is hidden is deleted.
 */
export type WhiteoutForm = "overlay" | "overlay-user" | "delete";

/** A layer to unpack. */
export interface UnpackRequest {
  readonly blob: LayerBlob;
  /** Absolute path of an existing directory: empty, or for `delete` a copy of the parent. Nothing outside is touched. */
  readonly directory: string;
  readonly whiteouts: WhiteoutForm;
  /**
   * Directories of the parents, topmost first, as soon as they are complete. Asked for after the archive was read;
   * needed for hard links into lower layers and for the attributes of directories that the archive does not name.
   * Not used with `delete`.
   */
  readonly lowers?: () => Promise<readonly string[]>;
  /** The recipe of the archive is written here (temporary name, rename). Absent: none is kept. */
  readonly recipePath?: string;
  readonly limits?: Partial<LayerLimits>;
}

/** Where changes are found. */
export type DiffSource =
  | {
    /** An overlay upper directory, read by its whiteouts. `lowers` topmost first. */
    readonly kind: "overlay";
    readonly upper: string;
    readonly lowers: readonly string[];
    readonly form: LayerForm;
  }
  | {
    /** Two whole trees compared: type, mode, owner, size, mtime (ns), xattrs, link target, device; content when in doubt. */
    readonly kind: "compare";
    readonly tree: string;
    /** Absent: everything is added. */
    readonly parent?: string;
    /** Absent: the trees may differ anywhere. */
    readonly touched?: TouchedPlaces;
    /**
     * When `tree` had become a copy of `parent`, by the file system's clock: the contents of files that changed since,
     * in whatever, are compared. Absent: those of all files with other inode numbers than the parent's.
     */
    readonly copiedAt?: { readonly s: number; readonly ns: number };
  };

/**
 * Where a tree may differ from its parent, which it started as by a snapshot that kept the inode numbers. What is
 * neither named here nor above something named is not even looked at; too much costs time only.
 */
export type TouchedPlaces =
  | {
    /** What the btrfs subvolume at `tree` has written since this transaction. */
    readonly kind: "btrfs";
    readonly since: bigint;
  }
  | {
    /** Paths as byte strings, relative to both trees; with the directories that names were added to or removed from. */
    readonly kind: "paths";
    readonly paths: readonly ByteString[];
  };

/** What a tar is made of. */
export type TarSource =
  | DiffSource
  | {
    /** The original archive of a layer; `tree` holds its files. */
    readonly kind: "recipe";
    readonly recipePath: string;
    readonly tree: string;
    readonly diffId: Digest;
  }
  | {
    /** A whole tree, or one path of it (resolved inside `root`; a final link is not followed). Stays on one file system. */
    readonly kind: "tree";
    readonly root: string;
    /** Absolute inside `root`. */
    readonly path: string;
    /** Name of the top entry, of which `/` is one; absent: entries are relative to `path` and the top is `./`. */
    readonly as?: string;
  };

/** Space and inodes of a tree. */
export interface TreeUsage {
  /** Blocks, each hard-linked file once. */
  readonly size_bytes: number;
  readonly inodes: number;
}

/** See the head of the file. One engine serves a whole runtime; disposing it ends its workers. */
export interface LayerEngine extends AsyncDisposable {
  /**
   * Unpacks one layer in one streaming pass: decompress, hash, check, guard, convert whiteouts, write, then one
   * `syncfs`. When it throws or is aborted the content of `directory` is undefined (the caller deletes it) and no
   * recipe is left.
   *
   * @throws `INVALID_ARGUMENT` (malformed or hostile archive: names the entry), `DATA_LOSS` (digest, diffID or size
   * differ), `RESOURCE_EXHAUSTED` (limit, disk full, quota).
   */
  unpack(request: UnpackRequest, operation: Operation): Promise<AppliedLayer>;
  /**
   * Unpacks a tar from outside (`cp`, volume restore) below `path`, resolved inside `root`. Whiteout names have no
   * meaning. Existing directories keep their attributes' replacement as in `layers.md`. With `keepKinds` no directory is
   * replaced by something else and nothing else by a directory (`CONFLICT`; what came before that entry stays).
   */
  unpackInto(
    request: { stream: TarStream; root: string; path: string; keepKinds?: boolean },
    operation: Operation,
  ): Promise<void>;
  /** The changes, sorted by path. */
  changes(source: DiffSource, operation: Operation): AsyncIterable<Change>;
  /** A reproducible tar: sorted entries, nanosecond mtimes, xattrs in pax records, whiteouts as `.wh.`. */
  tar(source: TarSource, operation: Operation): TarStream;
  /**
   * The same bytes compressed; the same bytes always give the same result. Nothing is read before the first read of the
   * result; cancelling that cancels `bytes`.
   */
  compress(bytes: TarStream, compression: "gzip" | "zstd", operation: Operation): TarStream;
  /** Copies a tree, everything included (owners, xattrs, hard links, devices, holes), by reflink where possible. Synced. */
  copyTree(source: string, target: string, operation: Operation): Promise<TreeUsage>;
  /** Brings what fuse-overlayfs has written into the form of a layer; see `convert_whiteouts.ts`. */
  convertWhiteouts(path: string, form: ConvertedForm, operation: Operation): Promise<void>;
  /** Deletes a tree or file; absent is success. Never follows a link; refuses (`CONFLICT`) to cross a mount point. */
  removeTree(path: string, operation: Operation): Promise<void>;
  /** Gives every file of a tree a group, the top last; see `set_group.ts`. */
  setGroup(request: GroupRequest, operation: Operation): Promise<GroupResult>;
  /** @param written Count only what the btrfs subvolume at `path` has written since this transaction. */
  usage(path: string, operation: Operation, written?: { readonly since: bigint }): Promise<TreeUsage>;
}
