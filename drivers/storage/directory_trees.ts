/**
 * Trees in directories:
 *
 * ```
 * DRIVER/l/ID/fs      the tree; ID is the row's id in base 36
 * DRIVER/l/ID/…       what else an active snapshot needs (`work`)
 * DRIVER/empty        an empty tree, for views without a parent
 * DRIVER/trash/…      what no row owns any more, on its way out
 * DRIVER/store        identity of the store that holds the rows
 * ```
 *
 * A directory without a row is nobody's, so a temporary name is not needed while it is made.
 */
import { setImmediate } from "node:timers";
import { join } from "@std/path/posix";
import { LaminaError, messageOf } from "../../runtime/core/errors.ts";
import { type MountEntry, mountsBelow } from "../../runtime/core/mountinfo.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import {
  makeDirectoryDurably,
  syncDirectories,
  syncDirectory,
  syncFileSystem,
  writeFileDurably,
} from "../../runtime/host/durable.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { BackgroundWork } from "./background_work.ts";
import type { LayerEngine } from "./layer/engine.ts";
import type { Usage } from "./port.ts";
import { directoryName, idOfDirectory, type SnapshotMount, snapshotMounts } from "./snapshot_mounts.ts";
import type { SnapshotRow } from "./snapshot_store.ts";
import type { NewTree, ReachedTree, RepairableFinding, SnapshotTrees, TreeListing } from "./snapshot_trees.ts";
import type { LimitedSnapshot, SnapshotLimit, TreeLimits } from "./tree_limits.ts";

/** See the head of the file. A subclass says what a tree starts with; by default it stays empty. */
export class DirectoryTrees implements SnapshotTrees {
  readonly noun = "directory";
  readonly empty: string;
  /** Holds the directories of all snapshots. */
  readonly layers: string;
  readonly trash: string;
  protected readonly engine: LayerEngine;
  /** Further directories of an active snapshot beside its tree; without content of their own. */
  protected readonly others: readonly string[] = [];
  readonly #owner: string;
  readonly #freeing = new BackgroundWork((operation) => this.#emptyTrash(operation));
  #discarded = 0;

  /**
   * @param directory The driver's own; absolute and canonical.
   * @param limits What enforces limits; absent where nothing does.
   */
  constructor(directory: string, engine: LayerEngine, protected readonly limits?: TreeLimits) {
    this.layers = join(directory, "l");
    this.empty = join(directory, "empty");
    this.trash = join(directory, "trash");
    this.#owner = join(directory, "store");
    this.engine = engine;
  }

  /** Makes the tree's own directory in the snapshot's, 0755. */
  protected makeTop(path: string, _tree: NewTree): void | Promise<void> {
    Deno.mkdirSync(path, { mode: 0o755 });
    // Whatever the umask says: 0755 is the mode of a root that no archive and no parent names.
    Deno.chmodSync(path, 0o755);
  }

  /** Gives a new and empty tree what its parent says. Synced by the caller. */
  protected fill(_id: number, _tree: NewTree, _operation: Operation): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Makes a new active tree durable. Synced from the inside out: journaling file systems write everything at the first
   * of the three and find nothing left to do at the others (measured: 0.35 ms for one or for all on ext4), file systems
   * without a journal need each.
   */
  protected sync(id: number, _tree: NewTree): Promise<void> {
    return syncDirectories([this.tree(id), this.of(id), this.layers]);
  }

  /** Deletes what lies in the trash at `path`. */
  protected deleteTree(path: string, operation: Operation): Promise<void> {
    return this.engine.removeTree(path, operation);
  }

  /** The directory of a snapshot. */
  of(id: number): string {
    return join(this.layers, directoryName(id));
  }

  /** The tree of a snapshot. */
  tree(id: number): string {
    return join(this.of(id), "fs");
  }

  async recover(store: string, rows: readonly SnapshotRow[], operation: Operation): Promise<void> {
    await makeDirectoryDurably(this.layers, 0o700);
    await makeDirectoryDurably(this.trash, 0o700);
    await makeDirectoryDurably(this.empty, 0o755);
    await this.#own(store);
    operation.signal.throwIfAborted();
    const known = new Set(rows.map(({ id }) => id));
    for (const id of (await this.list()).ids) if (!known.has(id)) await this.discard(id);
    await this.limits?.recover(this.#limited(rows));
    // What an earlier process threw away.
    this.#freeing.soon();
  }

  async make(id: number, tree: NewTree, operation: Operation): Promise<void> {
    const directory = this.of(id);
    const attempted = `Cannot make the directory ${directory}`;
    // Synchronous on purpose: 20 microseconds each, a third of what the way to another thread and back takes.
    try {
      Deno.mkdirSync(directory, { mode: 0o700 });
    } catch (error) {
      // Whatever is there already is not ours to discard.
      throw hostError(error, attempted, { path: directory });
    }
    try {
      await this.makeTop(this.tree(id), tree);
      if (tree.purpose === "active") {
        for (const name of this.others) Deno.mkdirSync(join(directory, name), { mode: 0o700 });
        // Now, while they are empty: what is made in them from here on counts.
        if (isLimited(tree)) await this.limits!.limit(this.#directoriesOf(id), tree);
      }
      if (tree.parent !== undefined) await this.fill(id, tree, operation);
      if (tree.whenComplete !== undefined) {
        tree.whenComplete();
        // One turn of the event loop later: what uses the tree already is started before the disk is waited for.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (tree.purpose === "active") await this.sync(id, tree);
    } catch (error) {
      throw await discarded(this, id, hostError(error, attempted, { path: directory }));
    }
  }

  reach(id: number): Promise<ReachedTree> {
    return Promise.resolve({ path: this.tree(id), [Symbol.asyncDispose]: () => Promise.resolve() });
  }

  async seal(id: number, synced: boolean, _operation: Operation): Promise<void> {
    // What its user wrote becomes a layer that others build on: all of it has to be on the disk first.
    if (!synced) await syncFileSystem(this.tree(id));
  }

  unseal(_id: number): Promise<void> {
    return Promise.resolve();
  }

  async setLimit(id: number, limit_bytes: number): Promise<void> {
    await this.limits!.change(this.tree(id), limit_bytes);
  }

  async settle(id: number): Promise<void> {
    await this.limits?.lift(this.tree(id));
    for (const name of this.others) await this.#throwAway(join(this.of(id), name), directoryName(id));
  }

  usage(id: number, _parent: number | undefined, operation: Operation): Promise<Usage> {
    return this.engine.usage(this.tree(id), operation);
  }

  async discard(id: number): Promise<void> {
    await this.limits?.lift(this.tree(id));
    await this.#throwAway(this.of(id), directoryName(id));
  }

  freeDiscarded(operation: Operation): Promise<void> {
    return this.#freeing.now(operation);
  }

  get freeingFailure(): { object: string; message: string } | undefined {
    const message = this.#freeing.failure;
    return message === undefined ? undefined : { object: this.trash, message };
  }

  nameOf(id: number): string {
    return this.of(id);
  }

  shownBy(entries: readonly MountEntry[]): SnapshotMount[] {
    return snapshotMounts(entries, this.layers);
  }

  async list(): Promise<TreeListing> {
    const ids = new Set<number>();
    const strangers: string[] = [];
    for await (const { name } of Deno.readDir(this.layers)) {
      const id = idOfDirectory(name);
      if (id === undefined) strangers.push(join(this.layers, name));
      else ids.add(id);
    }
    return { ids, strangers };
  }

  isWhole(id: number): boolean {
    return isDirectory(this.tree(id));
  }

  /** Directories beside the tree that an active snapshot cannot be mounted without. */
  check(rows: readonly SnapshotRow[], _operation: Operation): Promise<RepairableFinding[]> {
    const missing = rows.filter(({ id, kind }) => kind === "active" && isDirectory(this.tree(id))).flatMap((row) =>
      this.others.map((name) => join(this.of(row.id), name)).filter((path) => !isDirectory(path))
        .map((path): RepairableFinding => ({
          kind: "missing-directory",
          object: path,
          message: `The snapshot "${row.key}" cannot be mounted without this directory, which holds no data`,
          repairable: true,
          repair: async () => {
            await Deno.mkdir(path, { mode: 0o700 });
            await syncDirectory(this.of(row.id));
          },
        }))
    );
    // Nothing is ever mounted here by us.
    const foreign = mountsBelow(readMountTable(), this.layers).map(({ target, source, type }): RepairableFinding => ({
      kind: "foreign-mount",
      object: target,
      message: `Somebody else has mounted ${source} (${type}) in the place of a layer's files. Unmount it`,
      repairable: false,
    }));
    return Promise.resolve([...missing, ...foreign, ...this.limits?.check(this.#limited(rows)) ?? []]);
  }

  /** The tree comes first. */
  #directoriesOf(id: number): string[] {
    return [this.tree(id), ...this.others.map((name) => join(this.of(id), name))];
  }

  #limited(rows: readonly SnapshotRow[]): LimitedSnapshot[] {
    return rows.filter((row) => row.kind === "active" && isLimited(row))
      .map((row) => ({ ...row, directories: this.#directoriesOf(row.id) }));
  }

  /** Stops deleting in the background; the next start goes on with it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.limits?.close?.();
    return this.#freeing[Symbol.asyncDispose]();
  }

  async #own(store: string): Promise<void> {
    const owner = await readIfThere(this.#owner);
    if (owner === store) return;
    const { ids } = await this.list();
    if (ids.size > 0) {
      throw new LaminaError(
        "DATA_LOSS",
        `Cannot use the ${ids.size} snapshots in ${this.layers}: the database that knows them is another one or is ` +
          "lost. Restore it from a backup, or move that directory away to start anew",
        { details: { path: this.layers } },
      );
    }
    await writeFileDurably(this.#owner, store);
  }

  async #throwAway(from: string, name: string): Promise<void> {
    try {
      // The process's number of discards and a random part keep names apart from those of earlier processes.
      await Deno.rename(from, join(this.trash, `${name}-${++this.#discarded}-${crypto.randomUUID().slice(0, 8)}`));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw hostError(error, `Cannot move ${from} to the trash`, { path: from });
    }
    this.#freeing.soon();
  }

  async #emptyTrash(operation: Operation): Promise<void> {
    let failure: unknown;
    for (const { name } of await Array.fromAsync(Deno.readDir(this.trash))) {
      try {
        operation.signal.throwIfAborted();
        await this.deleteTree(join(this.trash, name), operation);
      } catch (error) {
        if (operation.signal.aborted) throw error;
        failure ??= error;
      }
    }
    if (failure !== undefined) throw hostError(failure, `Cannot delete what lies in ${this.trash}`);
  }
}

/** `failure`, once the tree is discarded; it tells when that could not be done. */
export async function discarded(trees: SnapshotTrees, id: number, failure: LaminaError): Promise<LaminaError> {
  try {
    await trees.discard(id);
    return failure;
  } catch (error) {
    return new LaminaError(failure.code, `${failure.message}. Its ${trees.noun} is left: ${messageOf(error)}`, {
      cause: failure,
      details: failure.details,
    });
  }
}

function isLimited({ limit_bytes, limit_inodes }: SnapshotLimit): boolean {
  return limit_bytes !== undefined || limit_inodes !== undefined;
}

function isDirectory(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw hostError(error, `Cannot read ${path}`, { path });
  }
}
