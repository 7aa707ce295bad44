/**
 * Directories and files of enforced capacity. What enforces it depends on the file system below:
 *
 * - `quota`: a directory whose files are of one project of xfs (or ext4), which has a limit.
 * - `btrfs`: a subvolume whose quota group has a limit.
 * - `image`: a file with a file system of its own inside, mounted through a loop device; works everywhere.
 *
 * A backing makes and removes such trees at paths of its caller's choice. Who owns them, under which name, and how they
 * survive a crash is the caller's business: make in a staging directory of the same file system, rename into place.
 */
import type { Operation } from "../../../runtime/core/operation.ts";

/** See the head of the file. */
export type BackingName = "quota" | "btrfs" | "image";

/** File systems that an image can hold. */
export type ImageFileSystem = "ext4" | "xfs";

/** What is to be made. */
export interface SizedRequest {
  readonly size_bytes: number;
  /** Only images: the file system in it; `none`: the image is a bare block device. */
  readonly fs_type: ImageFileSystem | "none";
  /** Only images: no space is set aside; what is written later may find the disk full. */
  readonly sparse: boolean;
  /** Permission bits of the top directory. */
  readonly mode: number;
  /** Files, directories, links that it may hold; absent: as many as fit. btrfs has no such limit. */
  readonly inodes?: number;
}

/** Space of one tree. */
export interface SizedUsage {
  /** What its owner has written. */
  readonly used_bytes: number;
  /** What is enforced. */
  readonly capacity_bytes: number;
  /** What of the capacity the file system below has handed out already, be it written or not. */
  readonly allocated_bytes: number;
}

/** How {@linkcode SizedBacking.copy} copies. */
export interface CopyOptions {
  readonly limit_bytes?: number;
}

/** What {@linkcode SizedBacking.grow} came to. */
export interface Grown {
  readonly size_bytes: number;
  /** The device has grown, its file system does at its next mount. */
  readonly pending: boolean;
  /** Why it does not now, though it is mounted. */
  readonly obstacle?: string;
}

/** One way of enforcing, in one place. Every verb is idempotent and durable when it returns. */
export interface SizedBacking {
  readonly name: BackingName;
  /**
   * Makes the directory or file `path`, which must not exist; its parent does.
   *
   * @returns what was really given: at least what was asked for.
   * @throws `RESOURCE_EXHAUSTED` (nothing is left then), `UNSUPPORTED`.
   */
  make(path: string, request: SizedRequest, operation: Operation): Promise<{ readonly size_bytes: number }>;
  /**
   * Raises the capacity; less than it has is success and changes nothing. Online.
   *
   * @throws `RESOURCE_EXHAUSTED`
   */
  grow(
    path: string,
    size_bytes: number,
    operation: Operation,
  ): Promise<Grown>;
  /** @throws `NOT_FOUND` */
  usage(path: string, operation: Operation): Promise<SizedUsage>;
  /** Deletes the tree and all in it. Gone already: success. @throws `CONFLICT` when something is mounted there. */
  remove(path: string, operation: Operation): Promise<void>;
  /**
   * Makes `to` (must not exist) a copy of `from` that shares its blocks: without space of its own. Images and subvolumes
   * are copied as they are at one instant; of a directory under a quota, each file is.
   *
   * @param options `limit_bytes` for directories and subvolumes; absent: nobody will write to it, it is a snapshot. An
   * image has the size of its source until it is grown.
   * @throws `UNSUPPORTED` where the file system cannot share blocks.
   */
  copy(from: string, to: string, options: CopyOptions, operation: Operation): Promise<void>;
}

/** Whether one backing works in a place, and why or why not, in a clause. */
export interface BackingFact {
  readonly backing: BackingName;
  readonly works: boolean;
  readonly why: string;
}
