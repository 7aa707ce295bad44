/**
 * Trees in datasets: `BASE/ID` is one, a clone of its parent's snapshot `BASE/PARENT@layer`. A committed tree has that
 * snapshot. Nothing is mounted but what somebody uses.
 *
 * ```
 * DRIVER/m/ID         where a tree is mounted while Lamina itself reads or writes it
 * DRIVER/empty        an empty tree, for views without a parent
 * ```
 */
import { join } from "@std/path/posix";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { makeDirectoryDurably } from "../../../runtime/host/durable.ts";
import { readMountTable } from "../../../runtime/host/mount_table.ts";
import { BackgroundWork } from "../background_work.ts";
import type { DriverContext } from "../driver_factory.ts";
import type { Usage } from "../port.ts";
import { PrivateMounts } from "../private_mounts.ts";
import { directoryName, idOfDirectory, type SnapshotMount } from "../snapshot_mounts.ts";
import type { SnapshotRow } from "../snapshot_store.ts";
import type { NewTree, ReachedTree, RepairableFinding, SnapshotTrees, TreeListing } from "../snapshot_trees.ts";
import { zfs } from "./zfs_command.ts";
import { listDatasets, ownPlace, type ZfsPlace } from "./zfs_place.ts";
import { type DatasetListing, SEAL } from "./zfs_text.ts";

interface ZfsListing extends TreeListing {
  readonly datasets: DatasetListing["datasets"];
}

/** See the head of the file. */
export class ZfsTrees implements SnapshotTrees {
  readonly noun = "dataset";
  readonly empty: string;
  readonly #context: DriverContext;
  readonly #mounts: PrivateMounts;
  readonly #sealed = new Set<number>();
  /** Of committed ones: each measured once, because that takes a mount. */
  readonly #inodes = new Map<number, number>();
  /** Without a row, on their way out. */
  readonly #discarded = new Set<number>();
  readonly #freeing = new BackgroundWork((operation) => this.#free(operation));

  constructor(context: DriverContext, readonly place: ZfsPlace) {
    this.#context = context;
    this.empty = join(context.directory, "empty");
    this.#mounts = new PrivateMounts(join(context.directory, "m"), context.mounter, {
      after: (name) => {
        if (this.#discarded.has(idOfDirectory(name)!)) this.#freeing.soon();
      },
    });
  }

  /** The dataset of a snapshot. */
  dataset(id: number): string {
    return `${this.place.base}/${directoryName(id)}`;
  }

  /** What others are cloned from and views show; there once a tree is sealed. */
  sealOf(id: number): string {
    return `${this.dataset(id)}@${SEAL}`;
  }

  async recover(store: string, rows: readonly SnapshotRow[], operation: Operation): Promise<void> {
    await makeDirectoryDurably(this.empty, 0o755);
    await makeDirectoryDurably(this.#mounts.directory, 0o700);
    const { datasets } = await ownPlace(this.place, store, this.#context.directory, operation);
    await this.#mounts.recover(operation);
    const known = new Map(rows.map((row) => [row.id, row]));
    const unsealed: number[] = [];
    for (const [id, { sealed, quota_bytes }] of datasets) {
      const row = known.get(id);
      if (row === undefined) this.#discarded.add(id);
      else if (row.kind === "committed") {
        this.#sealed.add(id);
        if (!sealed) unsealed.push(id);
      } else {
        // A crash came between the sealing and the row.
        if (sealed) await this.unseal(id);
        if (row.limit_bytes !== undefined && row.limit_bytes !== quota_bytes) {
          await this.setLimit(id, row.limit_bytes, operation);
        }
      }
    }
    if (unsealed.length > 0) await this.#snapshot(unsealed, operation);
    this.#freeing.soon();
  }

  async make(id: number, { parent, limit_bytes }: NewTree, operation: Operation): Promise<void> {
    const name = this.dataset(id);
    const quota = limit_bytes === undefined ? [] : ["-o", `quota=${limit_bytes}`];
    const args = parent === undefined ? ["create", ...quota, name] : ["clone", ...quota, this.sealOf(parent), name];
    // Both return when the pool has it on its disks.
    await zfs("zfs", args, `Cannot make the dataset ${name}`, operation);
  }

  reach(id: number, _access: "read" | "write", operation: Operation): Promise<ReachedTree> {
    const source = this.dataset(id);
    return this.#mounts.reach(directoryName(id), () => {
      // The kernel has one file system for all mounts of a dataset, read-only or not.
      const other = readMountTable().find((entry) => entry.type === "zfs" && entry.source === source);
      const readOnly = other === undefined ? this.#sealed.has(id) : other.superOptions.split(",").includes("ro");
      return { type: "zfs", source, target: "", options: [readOnly ? "ro" : "rw"] };
    }, operation);
  }

  async seal(id: number, _synced: boolean, operation: Operation): Promise<void> {
    await this.#snapshot([id], operation);
    this.#sealed.add(id);
  }

  async unseal(id: number): Promise<void> {
    const operation = { signal: AbortSignal.timeout(60_000), progress: () => {} };
    await zfs("zfs", ["destroy", this.sealOf(id)], `Cannot make ${this.dataset(id)} writable again`, operation);
    this.#sealed.delete(id);
    this.#inodes.delete(id);
  }

  settle(_id: number): Promise<void> {
    return Promise.resolve();
  }

  /** The first of a chain is counted file by file; others by what the pool says that they have written. */
  async usage(id: number, parent: number | undefined, operation: Operation): Promise<Usage> {
    const attempted = `Cannot measure the dataset ${this.dataset(id)}`;
    const sealed = this.#sealed.has(id);
    // Blocks are counted when they are on the disks: within seconds, or now.
    if (!sealed) await zfs("zpool", ["sync", this.place.pool], attempted, operation);
    if (parent === undefined) {
      await using tree = await this.reach(id, "read", operation);
      return await this.#context.engine.usage(tree.path, operation);
    }
    const of = sealed ? this.sealOf(id) : this.dataset(id);
    const written = await zfs("zfs", ["get", "-Hpo", "value", "written", of], attempted, operation);
    const inodes = await this.#inodesOf(id, operation) - await this.#inodesOf(parent, operation);
    return { size_bytes: Number(written.trim()), inodes: Math.max(0, inodes) };
  }

  async setLimit(id: number, limit_bytes: number, operation: Operation): Promise<void> {
    const name = this.dataset(id);
    await zfs("zfs", ["set", `quota=${limit_bytes}`, name], `Cannot limit ${name} to ${limit_bytes} bytes`, operation);
  }

  discard(id: number): Promise<void> {
    this.#discarded.add(id);
    this.#sealed.delete(id);
    this.#inodes.delete(id);
    this.#freeing.soon();
    return Promise.resolve();
  }

  freeDiscarded(operation: Operation): Promise<void> {
    return this.#freeing.now(operation);
  }

  get freeingFailure(): { object: string; message: string } | undefined {
    const message = this.#freeing.failure;
    return message === undefined ? undefined : { object: this.place.base, message };
  }

  nameOf(id: number): string {
    return this.dataset(id);
  }

  shownBy(entries: readonly MountEntry[]): SnapshotMount[] {
    const prefix = `${this.place.base}/`;
    return entries.flatMap((entry) => {
      if (entry.type !== "zfs" || !entry.source.startsWith(prefix) || this.#mounts.isOne(entry)) return [];
      const id = idOfDirectory(entry.source.slice(prefix.length).split("@")[0]!);
      return id === undefined ? [] : [{ id, target: entry.target, readOnly: entry.options.includes("ro") }];
    });
  }

  async list(operation: Operation): Promise<ZfsListing> {
    const { datasets, strangers } = await listDatasets(this.place, operation);
    return { ids: new Set([...datasets.keys()].filter((id) => !this.#discarded.has(id))), strangers, datasets };
  }

  isWhole(id: number, { ids }: TreeListing): boolean {
    return ids.has(id);
  }

  /** Committed trees without their snapshot, limits that are not in force. */
  check(rows: readonly SnapshotRow[], operation: Operation, listing: TreeListing): Promise<RepairableFinding[]> {
    const { datasets } = listing as ZfsListing;
    return Promise.resolve(rows.flatMap((row): RepairableFinding[] => {
      const dataset = datasets.get(row.id);
      if (dataset === undefined || row.kind === "view") return [];
      if (row.kind === "committed" && !dataset.sealed) {
        return [{
          kind: "missing-seal",
          object: this.sealOf(row.id),
          message: `The committed snapshot "${row.key}" has lost the snapshot that others are made from`,
          repairable: true,
          repair: () => this.#snapshot([row.id], operation),
        }];
      }
      const { limit_bytes } = row;
      if (row.kind !== "active" || limit_bytes === undefined || limit_bytes === dataset.quota_bytes) return [];
      return [{
        kind: "missing-limit",
        object: this.dataset(row.id),
        message: `The limit of the snapshot "${row.key}" is not in force`,
        repairable: true,
        repair: () => this.setLimit(row.id, limit_bytes, operation),
      }];
    }));
  }

  /** The driver's own dataset; what somebody else made in it stays, and so does the dataset then. */
  async retire(operation: Operation): Promise<void> {
    const { base } = this.place;
    await this.#destroyWithSnapshots(base, `Cannot destroy the dataset ${base}`, operation);
  }

  /** Stops freeing in the background; the next start goes on with it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#freeing[Symbol.asyncDispose]();
  }

  /** Those of the file system itself included. */
  async #inodesOf(id: number, operation: Operation): Promise<number> {
    const known = this.#inodes.get(id);
    if (known !== undefined) return known;
    await using tree = await this.reach(id, "read", operation);
    const { totalInodes, freeInodes } = fileSystemStatus(tree.path);
    const inodes = totalInodes - freeInodes;
    if (this.#sealed.has(id)) this.#inodes.set(id, inodes);
    return inodes;
  }

  /** On the disks when it returns, with everything that was written before. */
  async #snapshot(ids: readonly number[], operation: Operation): Promise<void> {
    const names = ids.map((id) => this.sealOf(id));
    await zfs("zfs", ["snapshot", ...names], `Cannot make the snapshot ${names.slice(0, 3).join(", ")}`, operation);
  }

  async #free(operation: Operation): Promise<void> {
    let failure: unknown;
    // What was made on something was discarded before it.
    for (const id of this.#discarded) {
      try {
        operation.signal.throwIfAborted();
        await this.#destroy(id, operation);
        this.#discarded.delete(id);
      } catch (error) {
        if (operation.signal.aborted) throw error;
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  async #destroy(id: number, operation: Operation): Promise<void> {
    const name = this.dataset(id);
    const attempted = `Cannot destroy the dataset ${name}`;
    // The command would unmount it under whoever uses it.
    const user = readMountTable().find(({ type, source }) => type === "zfs" && source.split("@")[0] === name);
    if (user !== undefined) {
      throw new LaminaError("CONFLICT", `${attempted}: it is mounted at ${user.target}. Unmount it first`);
    }
    try {
      await zfs("zfs", ["destroy", name], attempted, operation);
    } catch (error) {
      if (isLaminaError(error, "NOT_FOUND")) return;
      if (!isLaminaError(error, "CONFLICT")) throw error;
      await this.#destroyWithSnapshots(name, attempted, operation);
    }
  }

  /** With its snapshots: those that somebody takes of everything, too. */
  async #destroyWithSnapshots(name: string, attempted: string, operation: Operation): Promise<void> {
    const args = ["list", "-Ho", "name", "-r", "-t", "filesystem,volume", name];
    const [, foreign] = (await zfs("zfs", args, attempted, operation)).trim().split("\n");
    if (foreign !== undefined) {
      throw new LaminaError("CONFLICT", `${attempted}: somebody made ${foreign} in it. Move that away`);
    }
    await zfs("zfs", ["destroy", "-r", name], attempted, operation);
  }
}
