/** Makes the layers of an import that are not there yet, several at a time, each once however many imports want it. */
import type { AppliedLayer } from "../../drivers/storage/layer/types.ts";
import { isLaminaError } from "../core/errors.ts";
import type { Digest, SnapshotKey } from "../core/ids.ts";
import { abortable } from "../core/keyed_lock.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import type { Transaction } from "../store/store.ts";
import { shortId } from "./chain_id.ts";
import type { ImageRoom } from "./image_room.ts";
import { findLayer, insertLayer, type LayerRow } from "./image_rows.ts";
import type { SourceLayer } from "./read/source_image.ts";

/** A layer of the archive and the one below it. */
export interface PlannedLayer extends SourceLayer {
  readonly parent?: SnapshotKey;
}

/** What became of the planned layers. */
export interface UnpackedLayers {
  /** Made by this call, in the order in which they were finished. */
  readonly made: SnapshotKey[];
  readonly warnings: string[];
}

/** A layer under way, as those above it see it. */
interface Task {
  /** Has a slot or is there already: who waits for a slot behind it cannot wait for ever. */
  readonly started: Promise<void>;
  readonly done: Promise<void>;
}

/**
 * Unpacks every planned layer that the store does not have. The caller has pinned them all.
 *
 * @param plan Parents before children, each chainID once.
 * @param result Filled as layers are finished, so that the caller can undo them when this throws. When it throws,
 * nothing of it is under way any more.
 * @throws the first failure; the other layers are aborted.
 */
export async function unpackLayers(
  room: ImageRoom,
  plan: readonly PlannedLayer[],
  result: UnpackedLayers,
  operation: Operation,
): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([operation.signal, failure.signal]);
  const tasks = new Map<string, Task>();
  for (const layer of plan) {
    const below = layer.parent === undefined ? undefined : tasks.get(layer.parent);
    const task = startTask(room, layer, below, result, { ...operation, signal });
    task.done.catch((error) => failure.abort(error));
    tasks.set(layer.chainId, task);
  }
  await Promise.allSettled([...tasks.values()].map(({ done }) => done));
  // The first failure aborted the rest, so that its error is the reason they all carry.
  operation.signal.throwIfAborted();
  if (failure.signal.aborted) throw failure.signal.reason;
}

function startTask(
  room: ImageRoom,
  layer: PlannedLayer,
  below: Task | undefined,
  result: UnpackedLayers,
  operation: Operation,
): Task {
  const { promise: started, resolve: markStarted } = Promise.withResolvers<void>();
  const done = (async () => {
    using _lock = await room.locks.acquire(`layer:${layer.chainId}`, operation.signal);
    if (findLayer(room.store, layer.chainId) !== undefined) {
      operation.progress({ phase: "unpack", id: shortId(layer.diffId), current: 0, message: "exists already" });
      return;
    }
    // Those below have their slots, or none would be left for them one day.
    await abortable(below?.started ?? Promise.resolve(), operation.signal);
    await room.unpackSlots.acquire(operation.signal);
    try {
      markStarted();
      const applied = await makeLayer(room, layer, below?.done ?? Promise.resolve(), operation);
      if (applied === undefined) return;
      result.made.push(layer.chainId);
      result.warnings.push(...applied.warnings);
    } finally {
      room.unpackSlots.release();
    }
  })();
  // Whoever waits for the start of a layer that failed is aborted; one that was there already has started.
  done.then(markStarted, () => {});
  return { started, done };
}

/** Applies one layer; its row is committed with its snapshot. `undefined`: somebody else made the same meanwhile. */
async function makeLayer(
  room: ImageRoom,
  layer: PlannedLayer,
  parentReady: Promise<void>,
  operation: Operation,
): Promise<AppliedLayer | undefined> {
  const source = await layer.blob.locate();
  const id = shortId(layer.diffId);
  let recorded = false;
  const record = (tx: Transaction, applied: AppliedLayer) => {
    insertLayer(tx, layerRow(layer, applied));
    recorded = true;
  };
  operation.progress({ phase: "unpack", id, current: 0, total: source.length_bytes });
  let applied: AppliedLayer;
  try {
    applied = await room.driver.apply({
      name: layer.chainId,
      parent: layer.parent,
      parentReady,
      blob: { source, compression: layer.blob.compression, digest: layer.blob.digest, diffId: layer.diffId },
      recipePath: room.layout.recipe(layer.chainId),
      alongside: record,
    }, {
      ...operation,
      progress: (event) => operation.progress({ ...event, phase: "unpack", id, total: source.length_bytes }),
    });
  } catch (error) {
    // A rootfs tar or a commit learns a layer's name only at its end, and takes no lock before.
    if (isLaminaError(error, "ALREADY_EXISTS") && findLayer(room.store, layer.chainId) !== undefined) return undefined;
    throw error;
  }
  if (!recorded) await room.store.write((tx) => record(tx, applied));
  faultPoint("import.layer_committed");
  operation.progress({
    phase: "unpack",
    id,
    current: source.length_bytes,
    total: source.length_bytes,
    message: "done",
  });
  return applied;
}

/** What the store notes of an applied layer. */
export function layerRow(
  layer: { readonly chainId: SnapshotKey; readonly diffId: Digest; readonly parent?: SnapshotKey },
  applied: AppliedLayer,
): LayerRow {
  return {
    chain_id: layer.chainId,
    diff_id: layer.diffId,
    parent: layer.parent ?? null,
    tar_bytes: applied.tar_bytes,
    entries: applied.entries,
    size_bytes: applied.size_bytes,
    inodes: applied.inodes,
  };
}
