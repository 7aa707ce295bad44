/**
 * What all drivers share that keep their rows in the store: every verb. A driver says where its trees live
 * ({@linkcode SnapshotTrees}) and how they are mounted; one whose trees hold the difference to their parent instead of
 * everything also says how its changes are found and how a layer is unpacked.
 */
import { isLaminaError, LaminaError } from "../../runtime/core/errors.ts";
import type { Digest, SnapshotKey } from "../../runtime/core/ids.ts";
import { abortable, KeyedLock } from "../../runtime/core/keyed_lock.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import type { MountEntry } from "../../runtime/core/mountinfo.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { faultPoint } from "../../runtime/host/faults.ts";
import type { Store } from "../../runtime/store/store.ts";
import { checkSnapshots } from "./check_snapshots.ts";
import { discarded } from "./directory_trees.ts";
import type { DriverContext } from "./driver_factory.ts";
import type { LayerEngine } from "./layer/engine.ts";
import type { AppliedLayer, Change, TarStream } from "./layer/types.ts";
import type {
  Alongside,
  ApplyRequest,
  DriverCapabilities,
  Finding,
  PrepareOptions,
  SnapshotFilter,
  SnapshotInfo,
  StorageDriver,
  StorageDriverName,
  Usage,
} from "./port.ts";
import { leasedStream } from "./leased_stream.ts";
import { alwaysReached, reachComparison, type ReachedSource } from "./reached_source.ts";
import { EarlyUse } from "./early_use.ts";
import { refuseLimit } from "./refuse_limit.ts";
import { refuseMounted } from "./refuse_mounted.ts";
import { readOnlyBind } from "./snapshot_mounts.ts";
import { infoOf, type SnapshotRow, SnapshotStore } from "./snapshot_store.ts";
import type { NewTree, SnapshotTrees } from "./snapshot_trees.ts";

/** See the head of the file. `chain`: ids of the parent and its ancestors, topmost first; empty without a parent. */
export abstract class SnapshotDriver<Trees extends SnapshotTrees = SnapshotTrees> implements StorageDriver {
  abstract readonly capabilities: DriverCapabilities;
  abstract readonly status: Readonly<Record<string, string>>;

  protected readonly engine: LayerEngine;
  protected readonly rows: SnapshotStore;
  readonly #store: Store;
  readonly #context: DriverContext;
  /** Ids whose tree may exist while their row is still to come, or gone already. */
  readonly #unowned = new Set<number>();
  readonly #applying = new KeyedLock();
  #closed: Promise<void> | undefined;

  constructor(readonly name: StorageDriverName, context: DriverContext, protected readonly trees: Trees) {
    this.engine = context.engine;
    this.#store = context.store;
    this.#context = context;
    this.rows = new SnapshotStore(context.store, name);
  }

  /** How an active snapshot is mounted. */
  protected abstract activeMount(id: number, chain: readonly number[]): Mount | Promise<Mount>;
  /** How the committed snapshot at the top of `chain` (not empty) is mounted read-only. */
  protected abstract viewMount(id: number, chain: readonly number[]): Mount | Promise<Mount>;

  /** Where the changes of an active or committed snapshot are found. Here: two whole trees are compared. */
  protected reachDiff(id: number, chain: readonly number[], operation: Operation): Promise<ReachedSource> {
    return reachComparison(this.trees, id, chain[0], operation);
  }

  /**
   * Unpacks a layer into a new tree and returns what the row says. Here: over a copy of the parent.
   *
   * @param parentChain Resolves when the parent is there.
   */
  protected async unpack(
    id: number,
    { blob, recipePath }: ApplyRequest,
    parentChain: () => Promise<readonly number[]>,
    operation: Operation,
  ): Promise<{ applied: AppliedLayer; usage: Usage }> {
    let applied: AppliedLayer;
    {
      await using tree = await this.trees.reach(id, "write", operation);
      applied = await this.engine.unpack({ blob, directory: tree.path, whiteouts: "delete", recipePath }, operation);
    }
    const [parent] = await parentChain();
    return { applied, usage: await this.trees.usage(id, parent, operation) };
  }

  async recover(operation: Operation): Promise<void> {
    const store = await this.rows.identity();
    await this.trees.recover(store, [...this.rows.rows()], operation);
  }

  async prepare(
    key: SnapshotKey,
    parent: SnapshotKey | undefined,
    options: PrepareOptions,
    operation: Operation,
  ): Promise<Mount[]> {
    const attempted = `Cannot prepare snapshot "${key}"`;
    this.#refuseClosed(attempted);
    refuseLimit(this, key, options.size_bytes, options.inodes);
    const chain = this.#chainForNew("prepare", key, parent);
    const id = this.rows.reserveId();
    const { size_bytes: limit_bytes, inodes: limit_inodes } = options;
    const use = new EarlyUse(options.whenUsable, async () => [await this.activeMount(id, chain)]);
    const whenComplete = options.whenUsable && (() => use.start());
    const tree: NewTree = { purpose: "active", parent: chain[0], limit_bytes, limit_inodes, whenComplete };
    try {
      await this.#making(id, tree, attempted, operation, async () => {
        faultPoint("snapshot.directory_made");
        operation.signal.throwIfAborted();
        use.start();
        const { labels } = options;
        await this.#store.write((tx) => {
          this.rows.insert(tx, { id, key, kind: "active", parent, labels, limit_bytes, limit_inodes }, "prepare");
          options.alongside?.(tx);
        });
      });
    } catch (error) {
      await use.stop();
      throw error;
    }
    faultPoint("snapshot.row_written");
    return await use.mounts();
  }

  async view(
    key: SnapshotKey,
    parent: SnapshotKey | undefined,
    options: PrepareOptions,
    operation: Operation,
  ): Promise<Mount[]> {
    this.#refuseClosed(`Cannot make the view "${key}"`);
    operation.signal.throwIfAborted();
    const chain = this.#chainForNew("view", key, parent);
    const id = this.rows.reserveId();
    // A view shows what is there already: it is a row and nothing else.
    await this.#store.write((tx) => {
      this.rows.insert(tx, { id, key, kind: "view", parent, labels: options.labels }, "view");
      options.alongside?.(tx);
    });
    faultPoint("snapshot.row_written");
    return [await this.#mountOfView(id, chain)];
  }

  async mounts(key: SnapshotKey): Promise<Mount[]> {
    const row = this.rows.get(key, "mount");
    const chain = this.rows.chain(row.parentId);
    if (row.kind === "active") return [await this.activeMount(row.id, chain)];
    if (row.kind === "view") return [await this.#mountOfView(row.id, chain)];
    throw new LaminaError(
      "CONFLICT",
      `Cannot mount snapshot "${key}": it is committed. Make a view or an active snapshot on it`,
    );
  }

  async commit(
    name: SnapshotKey,
    key: SnapshotKey,
    options: { labels?: Readonly<Record<string, string>> },
    operation: Operation,
  ): Promise<void> {
    this.#refuseClosed(`Cannot commit snapshot "${key}"`);
    const row = this.rows.getCommittable(key, name);
    refuseMounted(this.trees, row, "commit");
    await this.trees.seal(row.id, false, operation);
    try {
      const usage = await this.trees.usage(row.id, row.parentId, operation);
      operation.signal.throwIfAborted();
      await this.#store.write((tx) => {
        if (this.rows.getCommittable(key, name, tx).id !== row.id) {
          throw new LaminaError("CONFLICT", `Cannot commit snapshot "${key}": it was replaced meanwhile. Try again`);
        }
        this.rows.commit(tx, key, name, usage, options.labels ?? {});
      });
    } catch (error) {
      if (this.rows.find(key)?.id === row.id) await this.trees.unseal(row.id);
      throw error;
    }
    faultPoint("snapshot.commit_row");
    await this.trees.settle(row.id);
  }

  isShownBy(key: SnapshotKey, entry: MountEntry, table: readonly MountEntry[]): boolean {
    const { id } = this.rows.get(key, "find");
    return this.trees.shownBy([...table, entry]).some((mount) => mount.id === id && mount.target === entry.target);
  }

  stat(key: SnapshotKey): Promise<SnapshotInfo> {
    return Promise.try(() => infoOf(this.rows.get(key, "find")));
  }

  async usage(key: SnapshotKey, operation: Operation): Promise<Usage> {
    const row = this.rows.get(key, "measure");
    if (row.kind === "view") return { size_bytes: 0, inodes: 0 };
    if (row.usage !== undefined) return row.usage;
    const usage = await this.trees.usage(row.id, row.parentId, operation);
    if (row.kind === "committed") await this.#store.write((tx) => this.rows.setUsage(tx, row.id, usage));
    return usage;
  }

  async *walk(filter?: SnapshotFilter): AsyncIterable<SnapshotInfo> {
    for (const row of this.rows.rows(filter)) yield infoOf(row);
  }

  async update(key: SnapshotKey, labels: Readonly<Record<string, string>>): Promise<SnapshotInfo> {
    this.#refuseClosed(`Cannot update snapshot "${key}"`);
    return infoOf(await this.#store.write((tx) => this.rows.update(tx, key, labels)));
  }

  async setLimit(
    key: SnapshotKey,
    size_bytes: number,
    operation: Operation,
    options: { readonly alongside?: Alongside } = {},
  ): Promise<SnapshotInfo> {
    this.#refuseClosed(`Cannot limit snapshot "${key}"`);
    refuseLimit(this, key, size_bytes);
    const { id } = this.rows.getActive(key, "limit");
    await this.trees.setLimit!(id, size_bytes, operation);
    return infoOf(
      await this.#store.write((tx) => {
        options.alongside?.(tx);
        return this.rows.setLimit(tx, key, id, size_bytes);
      }),
    );
  }

  async remove(
    key: SnapshotKey,
    operation: Operation,
    options: { readonly alongside?: Alongside } = {},
  ): Promise<void> {
    this.#refuseClosed(`Cannot remove snapshot "${key}"`);
    operation.signal.throwIfAborted();
    refuseMounted(this.trees, this.rows.get(key, "remove"), "remove");
    let id: number | undefined;
    try {
      await this.#store.write((tx) => {
        id = this.rows.remove(tx, key).id;
        this.#unowned.add(id);
        options.alongside?.(tx);
      }, { frees: true });
      faultPoint("snapshot.remove_marked");
      await this.trees.discard(id!);
      faultPoint("snapshot.remove_renamed");
    } finally {
      if (id !== undefined) this.#unowned.delete(id);
    }
  }

  async cleanup(operation: Operation): Promise<void> {
    await this.trees.freeDiscarded(operation);
  }

  async retire(operation: Operation): Promise<void> {
    this.#refuseClosed(`Cannot take away what the storage driver ${this.name} has`);
    const [row] = this.rows.rows();
    if (row !== undefined) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot take away what the storage driver ${this.name} has: it holds the snapshot "${row.key}"`,
      );
    }
    await this.trees.freeDiscarded(operation);
    await this.trees.retire?.(operation);
  }

  async apply(request: ApplyRequest, operation: Operation): Promise<AppliedLayer> {
    const known = typeof request.name === "string" ? request.name : undefined;
    const attempted = `Cannot apply layer "${known ?? "(to be named by its content)"}"`;
    this.#refuseClosed(attempted);
    // Awaited below, perhaps after another failure: its rejection must not count as unhandled until then.
    request.parentReady.catch(() => {});
    using _turn = known === undefined ? undefined : await this.#applying.acquire(known, operation.signal);
    if (known !== undefined) this.rows.refuseExisting(known, "apply");
    const parentChain = async () => {
      await abortable(request.parentReady, operation.signal);
      if (request.parent === undefined) return [];
      return this.rows.chain(this.rows.getParent(request.parent, attempted.replace("Cannot ", "")).id);
    };
    // With `parallelApply` the tree holds this layer alone.
    const [parent] = this.capabilities.parallelApply ? [] : await parentChain();
    const id = this.rows.reserveId();
    const applied = await this.#making(id, { purpose: "layer", parent }, attempted, operation, async () => {
      faultPoint("snapshot.directory_made");
      const { applied, usage } = await this.unpack(id, request, parentChain, operation);
      try {
        await parentChain();
        await this.trees.seal(id, true, operation);
        const name = typeof request.name === "string" ? request.name : request.name(applied.diffId);
        operation.signal.throwIfAborted();
        await this.#store.write((tx) => {
          const { parent, labels } = request;
          this.rows.insert(tx, { id, key: name, kind: "committed", parent, labels, usage }, "apply");
          request.alongside?.(tx, applied);
        });
      } catch (error) {
        // Whoever was quicker with a layer of that name has its recipe at the same place.
        if (known === undefined || !isLaminaError(error, "ALREADY_EXISTS")) await removeRecipe(request.recipePath);
        throw error;
      }
      return applied;
    });
    faultPoint("snapshot.row_written");
    return applied;
  }

  async *changes(key: SnapshotKey, operation: Operation): AsyncIterable<Change> {
    await using reached = await this.#reachSource(this.rows.get(key, "compare"), operation);
    yield* this.engine.changes(reached.source, operation);
  }

  diff(key: SnapshotKey, operation: Operation): TarStream {
    const row = this.rows.get(key, "diff");
    return leasedStream(
      () => this.#reachSource(row, operation),
      ({ source }) => this.engine.tar(source, operation),
    );
  }

  reassemble(name: SnapshotKey, recipePath: string, diffId: Digest, operation: Operation): TarStream {
    const row = this.rows.get(name, "reassemble");
    return leasedStream(
      () => this.trees.reach(row.id, "read", operation),
      ({ path }) => this.engine.tar({ kind: "recipe", recipePath, tree: path, diffId }, operation),
    );
  }

  async check(options: { repair: boolean }, operation: Operation): Promise<Finding[]> {
    const { rows, trees } = this;
    return await checkSnapshots(
      { rows, trees, mounter: this.#context.mounter, making: this.#unowned },
      options,
      operation,
    );
  }

  /** Waits for nothing but a deletion in progress, which stops. Closing twice is once. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= Promise.resolve(this.trees[Symbol.asyncDispose]());
  }

  /** Makes a tree and runs `body`, which gives it a row; when that throws, the tree goes. */
  async #making<T>(
    id: number,
    tree: NewTree,
    attempted: string,
    operation: Operation,
    body: () => Promise<T>,
  ): Promise<T> {
    this.#unowned.add(id);
    try {
      await this.trees.make(id, tree, operation);
      try {
        return await body();
      } catch (error) {
        throw await discarded(this.trees, id, hostError(error, attempted));
      }
    } finally {
      this.#unowned.delete(id);
    }
  }

  #chainForNew(verb: "prepare" | "view", key: SnapshotKey, parent: SnapshotKey | undefined): number[] {
    this.rows.refuseExisting(key, verb);
    if (parent === undefined) return [];
    return this.rows.chain(this.rows.getParent(parent, `${verb} snapshot "${key}"`).id);
  }

  #mountOfView(id: number, chain: readonly number[]): Mount | Promise<Mount> {
    return chain.length === 0 ? readOnlyBind(this.trees.empty) : this.viewMount(id, chain);
  }

  #reachSource(row: SnapshotRow, operation: Operation): Promise<ReachedSource> {
    if (row.kind !== "view") return this.reachDiff(row.id, this.rows.chain(row.parentId), operation);
    // A view never differs from its parent.
    const { empty } = this.trees;
    return Promise.resolve(alwaysReached({ kind: "compare", tree: empty, parent: empty }));
  }

  #refuseClosed(attempted: string): void {
    if (this.#closed === undefined) return;
    throw new LaminaError("UNAVAILABLE", `${attempted}: the storage driver is closed`);
  }
}

async function removeRecipe(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot remove the recipe ${path}`);
  }
}
