/**
 * Trees on thin devices: each snapshot is a device of the pool with a file system of its own, a copy-on-write snapshot
 * of its parent's device.
 *
 * ```
 * DRIVER/pool.img     the pool, where it is on a loop file
 * DRIVER/m/ID         where a tree is mounted while Lamina itself reads or writes it
 * DRIVER/empty        an empty tree, for views without a parent
 * ```
 */
import { join } from "@std/path/posix";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { mapperNode } from "../../../runtime/host/device_mapper.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { makeDirectoryDurably, syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { faultPoint } from "../../../runtime/host/faults.ts";
import { BackgroundWork } from "../background_work.ts";
import { discarded } from "../directory_trees.ts";
import type { DriverContext } from "../driver_factory.ts";
import type { Usage } from "../port.ts";
import { PrivateMounts } from "../private_mounts.ts";
import { directoryName, idOfDirectory, type SnapshotMount } from "../snapshot_mounts.ts";
import type { SnapshotRow } from "../snapshot_store.ts";
import type { NewTree, ReachedTree, RepairableFinding, SnapshotTrees, TreeListing } from "../snapshot_trees.ts";
import { fileSystemOn, growFileSystem, mountOptions, shrinkFileSystem } from "./file_systems.ts";
import { openPool } from "./open_pool.ts";
import type { DevicemapperSettings } from "./options.ts";
import type { OpenPool } from "./pool_owner.ts";
import { PoolNotes } from "./pool_notes.ts";
import { PoolRoom } from "./pool_room.ts";
import { ensureBase } from "./base_device.ts";
import { reconcile } from "./reconcile.ts";
import {
  beyond,
  discardBlocks,
  isInUse,
  keptDevices,
  mountsOfPool,
  refuseInUse,
  refuseOtherStore,
  refuseShrinking,
  sizeOnDevice,
  strangersIn,
  usedAt,
} from "./thin_devices.ts";
import { THIN, type ThinPool } from "./thin_pool.ts";

/** See the head of the file. */
export class ThinTrees implements SnapshotTrees {
  readonly noun = "device";
  readonly empty: string;
  readonly #mounts: PrivateMounts;
  readonly #notes: PoolNotes;
  #open: OpenPool | undefined;
  #room: PoolRoom | undefined;
  /** Committed ones: their devices are read-only. */
  readonly #sealed = new Set<number>();
  /** Without a row, on their way out. */
  readonly #discarded = new Set<number>();
  /** Their nodes are in mounts that somebody was told. */
  readonly #shown = new Set<number>();
  /** That may have a device; views have none. */
  readonly #made = new Set<number>();
  readonly #sizes = new Map<number, number>();
  /** Of file systems that do not change any more. */
  readonly #used = new Map<number, Usage>();
  readonly #freeing = new BackgroundWork((operation) => this.#free(operation));

  constructor(readonly context: DriverContext, readonly settings: DevicemapperSettings) {
    this.empty = join(context.directory, "empty");
    this.#mounts = new PrivateMounts(join(context.directory, "m"), context.mounter, {
      before: (name, path) => this.#measure(idOfDirectory(name)!, path),
      after: (name) => this.#rest(idOfDirectory(name)!),
    });
    this.#notes = new PoolNotes(context.store);
  }

  /** The pool, once `recover` has opened it. */
  get opened(): OpenPool | undefined {
    return this.#open;
  }

  get #pool(): ThinPool {
    if (this.#open !== undefined) return this.#open.pool;
    throw new LaminaError("UNAVAILABLE", "Cannot use the thin pool: it has not been opened");
  }

  async recover(store: string, rows: readonly SnapshotRow[], operation: Operation): Promise<void> {
    await makeDirectoryDurably(this.#mounts.directory, 0o700);
    await makeDirectoryDurably(this.empty, 0o755);
    await this.#mounts.recover(operation);
    const owned = rows.filter(({ kind }) => kind !== "view");
    const open = this.#open = await openPool(this.settings, {
      store,
      directory: this.context.directory,
      holdsData: owned.length > 0,
      pool: this.#notes.pool,
    }, operation);
    this.#room = new PoolRoom(open, this.settings);
    const listed = open.isNew ? [] : await open.pool.list(operation.signal);
    const devices = new Set(listed.filter((thin) => thin < THIN.firstOwn));
    refuseOtherStore(open, store, devices.size);
    for (const id of devices) this.#made.add(id);
    await this.#notes.setPool(open.label.pool);
    if (open.label.store !== store || open.label.root !== this.context.directory) {
      open.save({ ...open.label, store, root: this.context.directory });
    }
    await this.#agree(new Set(owned.map(({ id }) => id)), devices);
    for (const { id, kind } of owned) if (kind === "committed") this.#sealed.add(id);
    await ensureBase(
      open,
      { settings: this.settings, mounter: this.context.mounter, path: join(this.#mounts.directory, "base") },
      this.#sealed.size > 0,
      operation,
    );
    this.#freeing.soon();
    this.#room.watch();
  }

  async make(id: number, tree: NewTree, operation: Operation): Promise<void> {
    if (id >= THIN.firstOwn) {
      throw new LaminaError("RESOURCE_EXHAUSTED", `Cannot make snapshot ${id}: a pool has names for ${THIN.firstOwn}`);
    }
    await this.#room!.require(`Cannot make a snapshot`);
    if (operation.signal.aborted) throw hostError(operation.signal.reason, "Cannot make a snapshot");
    const origin = tree.parent ?? this.#base;
    this.#made.add(id);
    await this.#notes.reserve(id);
    faultPoint("devicemapper.id_noted");
    this.#pool.setTransactionId(id);
    faultPoint("devicemapper.transaction_set");
    this.#pool.createSnapshot(id, origin);
    faultPoint("devicemapper.device_made");
    try {
      this.#sizes.set(id, this.#sizeOf(origin));
      if (tree.limit_bytes !== undefined) await this.#limit(id, { ...tree, fresh: true }, tree.limit_bytes, operation);
    } catch (error) {
      throw await discarded(this, id, hostError(error, `Cannot make the device ${this.nameOf(id)}`));
    }
  }

  /** The mount of a snapshot; its device is active from then on. */
  mount(id: number): Mount {
    this.#shown.add(id);
    if (!this.#sealed.has(id)) this.#used.delete(id);
    const options = mountOptions(this.#fs, this.#sealed.has(id) ? "ro" : "rw", this.settings.discard);
    return { type: this.#fs, source: this.#node(id), target: "", options };
  }

  async reach(id: number, _access: "read" | "write", operation: Operation): Promise<ReachedTree> {
    const tree = await this.#mounts.reach(directoryName(id), () => {
      // An active one may be mounted by its container: the kernel has one file system for both, and it is writable.
      const options = mountOptions(this.#fs, this.#sealed.has(id) ? "ro" : "rw", this.settings.discard);
      return { type: this.#fs, source: this.#node(id), target: "", options: [...options, "noatime"] };
    }, operation);
    if (!this.#sealed.has(id)) this.#used.delete(id);
    return tree;
  }

  async seal(id: number, synced: boolean, operation: Operation): Promise<void> {
    this.#shown.delete(id);
    const settled = synced || isInUse(this.#pool, id) ? undefined : fileSystemOn(this.#node(id))?.settled;
    if (settled !== undefined) this.#used.set(id, settled);
    // Mounted once more, a log that a power cut has left is written back; unmounted, all is on the device.
    else if (!synced) await (await this.reach(id, "write", operation))[Symbol.asyncDispose]();
    if (isInUse(this.#pool, id)) this.#used.delete(id);
    refuseInUse(this.#pool, id, "commit");
    this.#pool.flush(id);
    this.#pool.deactivate(id);
    this.#sealed.add(id);
  }

  unseal(id: number): Promise<void> {
    this.#sealed.delete(id);
    this.#used.delete(id);
    this.#pool.deactivate(id);
    return Promise.resolve();
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  async usage(id: number, parent: number | undefined, operation: Operation): Promise<Usage> {
    if (parent === undefined) {
      await using tree = await this.reach(id, "read", operation);
      return await this.context.engine.usage(tree.path, operation);
    }
    const own = await this.#usedOf(id, operation);
    const below = await this.#usedOf(parent, operation);
    return beyond(own, below);
  }

  async setLimit(id: number, limit_bytes: number, operation: Operation): Promise<void> {
    const parent = this.#notes.parentOf(id);
    await this.#limit(id, { parent, fresh: false }, limit_bytes, operation);
  }

  discard(id: number): Promise<void> {
    if (!this.#made.has(id)) return Promise.resolve();
    this.#discarded.add(id);
    this.#shown.delete(id);
    this.#sealed.delete(id);
    this.#used.delete(id);
    this.#freeing.soon();
    return Promise.resolve();
  }

  freeDiscarded(operation: Operation): Promise<void> {
    return this.#freeing.now(operation);
  }

  get freeingFailure(): { object: string; message: string } | undefined {
    const message = this.#freeing.failure;
    return message === undefined ? undefined : { object: this.#open?.shown ?? "the thin pool", message };
  }

  nameOf(id: number): string {
    return this.#open?.pool.nameOf(id) ?? `thin device ${id}`;
  }

  shownBy(entries: readonly MountEntry[]): SnapshotMount[] {
    if (this.#open === undefined) return [];
    return mountsOfPool(this.#pool, entries.filter((entry) => !this.#mounts.isOne(entry)));
  }

  async list(operation: Operation): Promise<TreeListing> {
    const hidden = new Set([...this.#discarded, ...this.#notes.kept]);
    const listed = (await this.#pool.list(operation.signal)).filter((thin) => thin < THIN.firstOwn);
    for (const id of listed) this.#made.add(id);
    const strangers = await strangersIn(this.context.directory);
    return { ids: new Set(listed.filter((thin) => !hidden.has(thin))), strangers };
  }

  isWhole(id: number, listing: TreeListing): boolean {
    return listing.ids.has(id);
  }

  check(): Promise<RepairableFinding[]> {
    return Promise.resolve([...keptDevices(this.#pool, this.#notes.kept), ...this.#room!.findings()]);
  }

  async retire(): Promise<void> {
    const open = this.#open!, [kept] = this.#notes.kept;
    if (kept !== undefined) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot take away the pool on ${open.shown}: the device ${
          this.nameOf(kept)
        } is in it, which a newer database ` +
          'made. "lamina check" says what to do about it',
      );
    }
    this.#room?.[Symbol.dispose]();
    for (const thin of this.#pool.active().values()) this.#pool.deactivate(thin);
    open.retire();
    await this.#notes.forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#room?.[Symbol.dispose]();
    await this.#freeing[Symbol.asyncDispose]();
    if (this.#open === undefined) return;
    // What a container has mounted stays, with its pool; the next start finds both.
    for (const thin of this.#pool.active().values()) {
      if ((this.#pool.find(thin)?.openCount ?? 0) === 0) this.#pool.deactivate(thin);
    }
    this.#open.close();
    this.#open = undefined;
  }

  get #fs() {
    return this.#open!.label.base!.fs;
  }

  get #base(): number {
    return this.#open!.label.base!.thin;
  }

  /** Nobody else was told of it: it stays as it is until it is reached again. */
  async #measure(id: number, path: string): Promise<void> {
    if (this.#shown.has(id)) return;
    if (!this.#sealed.has(id)) await syncFileSystem(path);
    this.#used.set(id, usedAt(path));
  }

  #rest(id: number): void {
    if (this.#sealed.has(id) && !this.#shown.has(id)) this.#pool.deactivate(id);
  }

  /** Path of the device's node; the device is as long as the file system on it. */
  #node(id: number): string {
    return mapperNode(this.#pool.activate(id, this.#sizeOf(id), { readOnly: this.#sealed.has(id) }));
  }

  /** The kernel does not keep the size of a thin device: its file system does. */
  #sizeOf(thin: number): number {
    const known = this.#sizes.get(thin);
    if (known !== undefined) return known;
    const size_bytes = sizeOnDevice(this.#pool, thin);
    this.#sizes.set(thin, size_bytes);
    return size_bytes;
  }

  async #usedOf(id: number, operation: Operation): Promise<Usage> {
    const known = this.#used.get(id);
    if (known !== undefined) return known;
    await using tree = await this.reach(id, "read", operation);
    return usedAt(tree.path);
  }

  /** Lets the file system have as much room as the parent takes and the limit allows. */
  async #limit(
    id: number,
    { parent, fresh }: { readonly parent?: number; readonly fresh: boolean },
    limit_bytes: number,
    operation: Operation,
  ): Promise<void> {
    const below = await this.#usedOf(parent ?? this.#base, operation);
    const device = this.#node(id);
    const now_bytes = this.#sizeOf(id);
    let wanted_bytes: number;
    {
      await using tree = await this.reach(id, "write", operation);
      // What the file system needs for itself is not the container's.
      const overhead_bytes = now_bytes - fileSystemStatus(tree.path).total_bytes;
      const step_bytes = 1 << 20;
      wanted_bytes = Math.ceil((overhead_bytes + below.size_bytes + limit_bytes) / step_bytes) * step_bytes;
      if (wanted_bytes > now_bytes) {
        this.#pool.resize(id, wanted_bytes);
        await growFileSystem(this.#fs, device, tree.path, operation);
        this.#sizes.set(id, wanted_bytes);
        return;
      }
    }
    if (wanted_bytes === now_bytes) return;
    refuseShrinking(this.#fs, this.#pool, id, limit_bytes);
    await shrinkFileSystem(device, wanted_bytes, { fresh }, operation);
    this.#pool.resize(id, wanted_bytes);
    this.#sizes.set(id, wanted_bytes);
  }

  /** See `reconcile.ts`. */
  async #agree(rows: ReadonlySet<number>, devices: ReadonlySet<number>): Promise<void> {
    const { reserved, kept } = this.#notes;
    const { transactionId } = this.#pool.status();
    const plan = reconcile({ rows, devices, reserved, transactionId, kept });
    await this.#notes.agree(plan);
    this.#pool.setTransactionId(plan.reserved);
    for (const id of plan.discard) this.#discarded.add(id);
  }

  async #free(operation: Operation): Promise<void> {
    let failure: unknown;
    for (const id of [...this.#discarded]) {
      try {
        operation.signal.throwIfAborted();
        await this.#delete(id);
        for (const about of [this.#discarded, this.#made, this.#sizes]) about.delete(id);
      } catch (error) {
        if (operation.signal.aborted) throw error;
        failure ??= error;
      }
    }
    if (failure !== undefined) throw hostError(failure, `Cannot free the devices of removed snapshots`);
  }

  async #delete(id: number): Promise<void> {
    if (this.#open === undefined) return;
    const size_bytes = this.#sizes.get(id);
    if (!this.#pool.deactivate(id)) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot delete the device ${this.nameOf(id)}: somebody has it open, perhaps in a mount namespace of its own. ` +
          "It is deleted when that ends",
      );
    }
    // A deletion alone would leave its blocks in the loop file.
    if (this.settings.backing.kind === "loop" && this.settings.discard && size_bytes !== undefined) {
      await discardBlocks(this.#pool, id, size_bytes);
    }
    this.#pool.delete(id);
    faultPoint("devicemapper.device_deleted");
  }
}
