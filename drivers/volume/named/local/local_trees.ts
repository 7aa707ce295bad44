/** Making and removing what holds a local volume's data: a directory, a subvolume, a tree or an image of limited size. */
import { basename, dirname } from "@std/path/posix";
import { byteStringFromText } from "../../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../../runtime/core/errors.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import type { RootLayout } from "../../../../runtime/core/root_layout.ts";
import { createSubvolume, setReadOnlySubvolume, withDirectory } from "../../../../runtime/host/btrfs_calls.ts";
import { fileSystemStatus } from "../../../../runtime/host/disk.ts";
import { makeDirectoryDurably, syncDirectory, syncFileSystem } from "../../../../runtime/host/durable.ts";
import { hostError } from "../../../../runtime/host/errno_errors.ts";
import { inUserNamespace, isRoot } from "../../../../runtime/host/host_facts.ts";
import type { LayerEngine } from "../../../storage/layer/engine.ts";
import type { BackingName, SizedBacking } from "../../sized/port.ts";
import { type KnownTree, SizedPlace } from "../../sized/sized_place.ts";
import { isSubvolume, kindOf } from "./local_place.ts";
import type { LocalPlan } from "./local_options.ts";

type SizedPlan = Extract<LocalPlan, { kind: "sized" }>;

/** An image cannot be smaller. */
const SMALLEST_IMAGE_BYTES = 8 << 20;
/** What a container's processes see at the target, so it must not depend on the daemon's umask. */
const DATA_MODE = 0o755;

/** See the head of the file. */
export class LocalTrees {
  readonly #layout: RootLayout;
  readonly #engine: LayerEngine;
  #sized: Promise<SizedPlace> | undefined;
  #subvolumes: boolean | undefined;

  constructor(layout: RootLayout, engine: LayerEngine) {
    this.#layout = layout;
    this.#engine = engine;
  }

  /** Puts the limits of the volumes that have one in force. Called at the start where there are any. */
  async openSized(trees: readonly KnownTree[]): Promise<void> {
    this.#sized = this.#open(trees);
    await this.#sized;
  }

  /** Makes the directory of a volume without a limit at `path`, which does not exist. The caller syncs what holds it. */
  async makeDirectory(path: string): Promise<void> {
    try {
      if (this.#usesSubvolumes()) {
        await withDirectory(
          byteStringFromText(dirname(path)),
          (parent) => createSubvolume(parent, byteStringFromText(basename(path))),
        );
        await Deno.chmod(path, DATA_MODE);
        await syncFileSystem(path);
        return;
      }
      await Deno.mkdir(path);
      await Deno.chmod(path, DATA_MODE);
    } catch (error) {
      throw hostError(error, `Cannot make ${path}`, { path });
    }
  }

  /**
   * Makes a tree or an image of limited size at `path`, which does not exist.
   *
   * @throws `UNSUPPORTED` naming all that was tried, `INVALID_ARGUMENT` (too small for an image), `RESOURCE_EXHAUSTED`.
   */
  async makeSized(path: string, plan: SizedPlan, operation: Operation): Promise<void> {
    const backing = await (await this.#place()).choose("auto", operation, { inodes: plan.inodes !== undefined });
    if (backing.name === "image" && plan.size_bytes < SMALLEST_IMAGE_BYTES) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot limit a volume to ${plan.size_bytes} bytes: here it is an image with a file system inside, which has ` +
          `at least ${SMALLEST_IMAGE_BYTES}`,
      );
    }
    await backing.make(path, { ...plan, fs_type: "ext4", sparse: true, mode: DATA_MODE }, operation);
  }

  /** Whether directories have project quotas here. */
  async hasQuota(): Promise<boolean> {
    return (await this.#place()).facts.some(({ backing, works }) => backing === "quota" && works);
  }

  /** What enforces the size of the tree or image at `path`. */
  async backingOf(path: string): Promise<SizedBacking> {
    const name: BackingName = kindOf(path) === "file" ? "image" : isSubvolume(path) ? "btrfs" : "quota";
    return (await this.#place()).backing(name);
  }

  /** Deletes whatever is at `path`, its limit included. Absent is success. */
  async remove(path: string, options: { readonly sized: boolean }, operation: Operation): Promise<void> {
    const kind = kindOf(path);
    if (kind === "absent") return;
    if (kind === "directory" && isSubvolume(path)) await this.thaw(path);
    if (options.sized && kind !== "other") await (await this.backingOf(path)).remove(path, operation);
    else await this.#engine.removeTree(path, operation);
  }

  /** Lets a frozen subvolume be deleted. Anything else is left as it is. */
  async thaw(path: string): Promise<void> {
    if (!isSubvolume(path)) return;
    try {
      await withDirectory(byteStringFromText(path), (fd) => setReadOnlySubvolume(fd, false));
    } catch (error) {
      throw hostError(error, `Cannot make the snapshot ${path} writable, to delete it`, { path });
    }
  }

  /** On btrfs a volume is a subvolume: a snapshot of it takes one step. Asked once. */
  #usesSubvolumes(): boolean {
    return this.#subvolumes ??= isRoot() && !inUserNamespace() &&
      fileSystemStatus(this.#layout.volumes).type === "btrfs";
  }

  #place(): Promise<SizedPlace> {
    return this.#sized ??= this.#open([]);
  }

  async #open(trees: readonly KnownTree[]): Promise<SizedPlace> {
    await makeDirectoryDurably(this.#layout.volumeLimits, 0o700);
    await syncDirectory(this.#layout.root);
    return await SizedPlace.open(this.#layout.volumeLimits, this.#engine, trees);
  }
}
