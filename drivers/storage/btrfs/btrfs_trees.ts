/**
 * Trees in subvolumes: `DRIVER/l/ID/fs` is one, a snapshot of its parent's, read-only once it is committed. The
 * directories around it are those of every driver that keeps its trees in some.
 */
import { join } from "@std/path/posix";
import { type ByteString, byteStringFromText } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import {
  createSnapshot,
  createSubvolume,
  isReadOnlySubvolume,
  nestedSubvolumes,
  setReadOnlySubvolume,
  subvolumeInfo,
  syncBtrfs,
  withDirectory,
} from "../../../runtime/host/btrfs_calls.ts";
import { exchangeAt, mkdirAt, rmdirAt } from "../../../runtime/host/fs_change_calls.ts";
import { syncFileSystem } from "../../../runtime/host/durable.ts";
import { pathThroughFd } from "../../../runtime/host/fs_calls.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { mountsBelow, readMountTable } from "../../../runtime/host/mount_table.ts";
import { DirectoryTrees } from "../directory_trees.ts";
import type { LayerEngine } from "../layer/engine.ts";
import type { Usage } from "../port.ts";
import type { SnapshotRow } from "../snapshot_store.ts";
import type { NewTree, RepairableFinding } from "../snapshot_trees.ts";
import type { BtrfsLimits } from "./btrfs_limits.ts";
import { deleteSubvolumes } from "./delete_subvolumes.ts";

const treeName = byteStringFromText("fs");
const nextName = byteStringFromText("next");

/** See the head of the file. */
export class BtrfsTrees extends DirectoryTrees {
  /** @param quota Absent: sizes are not limited. */
  constructor(directory: string, engine: LayerEngine, readonly quota: BtrfsLimits | undefined) {
    super(directory, engine, quota);
  }

  override async recover(store: string, rows: readonly SnapshotRow[], operation: Operation): Promise<void> {
    await super.recover(store, rows, operation);
    for (const row of rows) {
      operation.signal.throwIfAborted();
      if (row.kind === "view" || !this.isWhole(row.id)) continue;
      // A crash between sealing a tree and its row, or a file system restored by hand.
      await this.#seal(row.id, row.kind === "committed");
    }
  }

  protected override async makeTop(path: string, { parent }: NewTree): Promise<void> {
    try {
      await withDirectory(byteStringFromText(join(path, "..")), async (directory) => {
        if (parent === undefined) await createSubvolume(directory, treeName);
        else await withDirectory(this.#path(parent), (source) => createSnapshot(source, directory, treeName));
      });
      if (parent === undefined) Deno.chmodSync(path, 0o755);
    } catch (error) {
      throw hostError(error, `Cannot make the subvolume ${path}`, { path });
    }
  }

  /** Making a snapshot has committed everything before it, its directory included; a limit comes after. */
  protected override async sync(id: number, { parent, limit_bytes }: NewTree): Promise<void> {
    if (parent === undefined || limit_bytes !== undefined) await syncFileSystem(this.tree(id));
  }

  override async seal(id: number, synced: boolean, operation: Operation): Promise<void> {
    if (!synced) await syncFileSystem(this.tree(id));
    const nested = await withDirectory(this.#path(id), nestedSubvolumes);
    if (nested.length > 0) await this.#flatten(id, nested, operation);
    await this.#seal(id, true);
  }

  override unseal(id: number): Promise<void> {
    return this.#seal(id, false);
  }

  /** The first of a chain is counted file by file; others by what they have written. */
  override async usage(id: number, parent: number | undefined, operation: Operation): Promise<Usage> {
    const generation = parent === undefined ? undefined : await this.madeFrom(id, parent);
    if (generation === undefined) return await super.usage(id, parent, operation);
    await this.syncChanges(id);
    return await this.engine.usage(this.tree(id), operation, { since: generation });
  }

  /** The transaction in which a tree was made as a snapshot of `parent`; `undefined` when it was not. */
  madeFrom(id: number, parent: number): Promise<bigint | undefined> {
    return withDirectory(this.#path(id), async (tree) => {
      const { parentUuid, madeIn } = subvolumeInfo(tree);
      const { uuid } = await withDirectory(this.#path(parent), subvolumeInfo);
      return uuid === parentUuid ? madeIn : undefined;
    });
  }

  /** Writes out what the search for changes would not see before: an inode says so only when its data is on the disk. */
  async syncChanges(id: number): Promise<void> {
    if (!await withDirectory(this.#path(id), isReadOnlySubvolume)) await syncFileSystem(this.tree(id));
  }

  override async check(rows: readonly SnapshotRow[], operation: Operation): Promise<RepairableFinding[]> {
    const findings = await super.check(rows, operation);
    for (const { id, key, kind } of rows) {
      operation.signal.throwIfAborted();
      if (kind !== "committed" || !this.isWhole(id)) continue;
      if (await withDirectory(this.#path(id), isReadOnlySubvolume)) continue;
      findings.push({
        kind: "writable-subvolume",
        object: this.tree(id),
        message: `The committed snapshot "${key}" can be written to; somebody may have changed it`,
        repairable: true,
        repair: () => this.#seal(id, true),
      });
    }
    return findings;
  }

  /** Has the kernel begin to free what was deleted; otherwise it would half a minute later. */
  override async freeDiscarded(operation: Operation): Promise<void> {
    await super.freeDiscarded(operation);
    try {
      await withDirectory(byteStringFromText(this.trash), syncBtrfs);
    } catch (error) {
      throw hostError(error, `Cannot sync the file system of ${this.trash}`);
    }
  }

  protected override async deleteTree(path: string, operation: Operation): Promise<void> {
    // Deleting a subvolume would not notice what is mounted in it.
    const [mounted] = mountsBelow(readMountTable(), path);
    if (mounted !== undefined) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot remove "${path}": something is mounted on "${mounted.target}" in it. Unmount it first`,
        { details: { path } },
      );
    }
    await deleteSubvolumes(byteStringFromText(path), operation);
    await super.deleteTree(path, operation);
    this.quota?.removeStale();
  }

  /**
   * Makes plain directories of the subvolumes that somebody made inside: a snapshot of the tree would show them empty.
   * Done in a snapshot of it, which then takes its place in one step.
   */
  async #flatten(id: number, nested: readonly ByteString[], operation: Operation): Promise<void> {
    const home = byteStringFromText(this.of(id));
    try {
      // Of an attempt that did not end.
      await deleteSubvolumes(home, operation, nextName);
      await withDirectory(home, async (directory) => {
        await withDirectory(this.#path(id), async (tree) => {
          await createSnapshot(tree, directory, nextName);
          await withDirectory(nextName, async (next) => {
            for (const path of nested) await this.#copyNested(tree, next, path, operation);
          }, directory);
        });
        exchangeAt(directory, treeName, nextName);
      });
      await deleteSubvolumes(home, operation, nextName);
    } catch (error) {
      throw hostError(error, `Cannot make directories of the subvolumes in ${this.tree(id)}`);
    }
  }

  /** Where the tree has a subvolume its snapshot has an empty directory that nothing can be made in. */
  async #copyNested(tree: number, next: number, path: ByteString, operation: Operation): Promise<void> {
    rmdirAt(next, path);
    mkdirAt(next, path, 0o700);
    await withDirectory(path, (from) =>
      withDirectory(
        path,
        (to) => this.engine.copyTree(pathThroughFd(from), pathThroughFd(to), operation),
        next,
      ), tree);
  }

  #seal(id: number, readOnly: boolean): Promise<void> {
    return withDirectory(this.#path(id), (tree) => setReadOnlySubvolume(tree, readOnly));
  }

  #path(id: number): ByteString {
    return byteStringFromText(this.tree(id));
  }
}
