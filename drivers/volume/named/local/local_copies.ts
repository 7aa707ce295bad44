/**
 * Copies of local volumes: frozen ones (snapshots, what a backup reads) and new volumes. Blocks are shared where the
 * file system can; where it cannot the caller says whether all files shall be copied.
 */
import { basename, dirname } from "@std/path/posix";
import { byteStringFromText } from "../../../../runtime/core/bytes.ts";
import { isLaminaError, LaminaError } from "../../../../runtime/core/errors.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import { createSnapshot, setReadOnlySubvolume, withDirectory } from "../../../../runtime/host/btrfs_calls.ts";
import { renameDurably, syncDirectory, syncFileSystem } from "../../../../runtime/host/durable.ts";
import { hostError } from "../../../../runtime/host/errno_errors.ts";
import { canShareFiles } from "../../../../runtime/host/image_files.ts";
import type { LayerEngine } from "../../../storage/layer/engine.ts";
import type { NamedVolume } from "../volume_driver.ts";
import type { LocalDriver } from "./local_driver.ts";
import { planLocal } from "./local_options.ts";
import { isSubvolume, kindOf } from "./local_place.ts";

/** How a copy was made. `shared`: its blocks are the original's as long as neither changes. */
export type CopyMethod = "shared" | "copy";

/** How a copy is made. */
export interface CopyOptions {
  /** Copy all files where blocks cannot be shared, instead of refusing. */
  readonly copy: boolean;
  /** Nobody will write to it. */
  readonly frozen: boolean;
}

/** See the head of the file. */
export class LocalCopies {
  readonly #local: LocalDriver;
  readonly #engine: LayerEngine;
  #shares: Promise<boolean> | undefined;

  constructor(local: LocalDriver, engine: LayerEngine) {
    this.#local = local;
    this.#engine = engine;
  }

  /** Whether a copy of the volume takes no time and no space to speak of, as its data lies now. */
  async canShare(volume: NamedVolume): Promise<boolean> {
    const { data, isImage } = this.#local.place(volume);
    if (planLocal(volume).kind === "mount") return false;
    if (!isImage && isSubvolume(data)) return true;
    // Asked once: the volumes are all on one file system.
    return await (this.#shares ??= canShareFiles(dirname(dirname(data))));
  }

  /**
   * Copies a volume's data to `to`, which does not exist: a directory, or an image where the volume is one.
   *
   * @param data Where the volume's data is to be seen, if it is.
   * @throws `UNSUPPORTED` where blocks cannot be shared, unless `copy`.
   */
  async copy(
    volume: NamedVolume,
    data: string | undefined,
    to: string,
    options: CopyOptions,
    operation: Operation,
  ): Promise<CopyMethod> {
    const place = this.#local.place(volume);
    try {
      if (await this.canShare(volume)) {
        await this.#share(volume, to, options, operation);
        return "shared";
      }
    } catch (error) {
      if (!isLaminaError(error, "UNSUPPORTED")) throw error;
    }
    if (!options.copy) throw this.#cannotShare(volume);
    // An image that is not mounted is a file like any other. Of one that is, only the files are of one piece.
    if (place.isImage && data === undefined) await this.#engine.copyTree(place.image, to, operation);
    else await this.#engine.copyTree(data ?? place.data, to, operation);
    await syncDirectory(dirname(to));
    return "copy";
  }

  /**
   * Fills a new volume, of which only the row exists, with what a copy or another volume holds.
   *
   * @param from A directory, or an image of the same options.
   * @param mounted Mounts the volume, calls back with where its data is, unmounts it.
   */
  async fill(
    volume: NamedVolume,
    from: string,
    mounted: (body: (data: string) => Promise<void>) => Promise<void>,
    operation: Operation,
  ): Promise<CopyMethod> {
    if (kindOf(from) === "file") {
      const { directory, next, image, data } = this.#local.place(volume);
      await Deno.mkdir(directory, { mode: 0o700 });
      const shared = await this.#shareImage(from, next, operation);
      if (!shared) await this.#engine.copyTree(from, next, operation);
      await Deno.mkdir(data, { mode: 0o700 });
      await renameDurably(next, image);
      await syncDirectory(dirname(directory));
      return shared ? "shared" : "copy";
    }
    if (planLocal(volume).kind === "directory" && isSubvolume(from)) {
      const { directory, data } = this.#local.place(volume);
      await Deno.mkdir(directory, { mode: 0o700 });
      await snapshot(from, data, false);
      return "shared";
    }
    await this.#local.create(volume, operation);
    // By sharing blocks where that is possible.
    await mounted(async (data) => void await this.#engine.copyTree(from, data, operation));
    return await (this.#shares ??= canShareFiles(dirname(this.#local.place(volume).directory))) ? "shared" : "copy";
  }

  async #share(volume: NamedVolume, to: string, { frozen }: CopyOptions, operation: Operation): Promise<void> {
    const { data, image, isImage } = this.#local.place(volume);
    const plan = planLocal(volume);
    if (plan.kind === "sized") {
      const from = isImage ? image : data;
      const limit = frozen ? {} : { limit_bytes: plan.size_bytes };
      await (await this.#local.trees.backingOf(from)).copy(from, to, limit, operation);
    } else if (isSubvolume(data)) {
      await snapshot(data, to, frozen);
    } else {
      // What was written and acknowledged shall be in the copy.
      await syncFileSystem(data);
      await this.#engine.copyTree(data, to, operation);
    }
    await syncDirectory(dirname(to));
  }

  async #shareImage(from: string, to: string, operation: Operation): Promise<boolean> {
    try {
      await (await this.#local.trees.backingOf(from)).copy(from, to, {}, operation);
      return true;
    } catch (error) {
      if (isLaminaError(error, "UNSUPPORTED")) return false;
      throw error;
    }
  }

  #cannotShare(volume: NamedVolume): LaminaError {
    const why = planLocal(volume).kind === "mount"
      ? "its data is not in the root but on what its options name"
      : "the file system of the root cannot share blocks between files (btrfs can, and xfs with reflink)";
    return new LaminaError(
      "UNSUPPORTED",
      `Cannot copy volume "${volume.name}" at once: ${why}. --copy copies every file, which takes time and space`,
      { details: { volume: volume.name } },
    );
  }
}

/** A snapshot of the subvolume at `from`, durable when it is there. */
async function snapshot(from: string, to: string, frozen: boolean): Promise<void> {
  try {
    await withDirectory(
      byteStringFromText(from),
      (source) =>
        withDirectory(
          byteStringFromText(dirname(to)),
          (parent) => createSnapshot(source, parent, byteStringFromText(basename(to))),
        ),
    );
    if (frozen) await withDirectory(byteStringFromText(to), (fd) => setReadOnlySubvolume(fd, true));
    await syncFileSystem(dirname(to));
  } catch (error) {
    throw hostError(error, `Cannot make a snapshot of ${from}`, { path: to });
  }
}
