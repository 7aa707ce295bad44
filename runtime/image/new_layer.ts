/** A layer of which nobody has said the diffID: a rootfs tar, the changes of a container. */
import type { AppliedLayer, LayerBlob } from "../../drivers/storage/layer/types.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Digest, SnapshotKey } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { syncDirectory } from "../host/durable.ts";
import type { Transaction } from "../store/store.ts";
import { chainIdUpon } from "./chain_id.ts";
import type { ImageRoom } from "./image_room.ts";
import { findLayer, insertLayer } from "./image_rows.ts";
import { removeFile } from "./layer_garbage.ts";
import { layerRow } from "./unpack_layers.ts";

/** The layer, held until it is disposed. */
export interface NewLayer extends Disposable {
  readonly chainId: SnapshotKey;
  readonly diffId: Digest;
  /** False: the same layer was there already. */
  readonly made: boolean;
  readonly warnings: readonly string[];
}

/**
 * Unpacks a layer upon `parent` and names it by what it holds.
 *
 * @param parent Held by the caller.
 * @throws as `StorageDriver.apply`; nothing is left then.
 */
export async function applyNewLayer(
  room: ImageRoom,
  parent: SnapshotKey | undefined,
  blob: Pick<LayerBlob, "source" | "compression">,
  operation: Operation,
): Promise<NewLayer> {
  const recipePath = `${room.layout.recipes}/new-${crypto.randomUUID()}`;
  let named: { chainId: SnapshotKey; diffId: Digest; pin: Disposable } | undefined;
  let recorded = false;
  const nameIt = (diffId: Digest): SnapshotKey => {
    const chainId = chainIdUpon(parent, diffId);
    named = { chainId, diffId, pin: room.pins.pin([chainId]) };
    // Before the row, in the same turn of the event loop; synced below, before anybody is told of the layer.
    if (findLayer(room.store, chainId) === undefined) Deno.renameSync(recipePath, room.layout.recipe(chainId));
    return chainId;
  };
  const record = (tx: Transaction, applied: AppliedLayer) => {
    insertLayer(tx, layerRow({ chainId: named!.chainId, diffId: applied.diffId, parent }, applied));
    recorded = true;
  };
  try {
    let warnings: readonly string[] = [];
    try {
      await room.unpackSlots.acquire(operation.signal);
      try {
        const parentReady = Promise.resolve();
        const applied = await room.driver.apply(
          { name: nameIt, parent, parentReady, blob, recipePath, alongside: record },
          operation,
        );
        if (!recorded) await room.store.write((tx) => record(tx, applied));
        warnings = applied.warnings;
      } finally {
        room.unpackSlots.release();
      }
      await syncDirectory(room.layout.recipes);
    } catch (error) {
      if (!isLaminaError(error, "ALREADY_EXISTS") || named === undefined) throw error;
      recorded = false;
      await awaitOther(room, named.chainId, operation);
    }
    const { chainId, diffId, pin } = named!;
    return { chainId, diffId, made: recorded, warnings, [Symbol.dispose]: () => pin[Symbol.dispose]() };
  } catch (error) {
    if (named !== undefined) {
      named.pin[Symbol.dispose]();
      // Another import of the same layer may have its recipe there already, and its row not yet.
      const needed = room.pins.has(named.chainId) || findLayer(room.store, named.chainId) !== undefined;
      if (!needed) await removeFile(room.layout.recipe(named.chainId));
    }
    throw error;
  } finally {
    await removeFile(recipePath);
  }
}

/** Whoever holds the layer's lock is making it or taking it away. */
async function awaitOther(room: ImageRoom, chainId: SnapshotKey, operation: Operation): Promise<void> {
  using _lock = await room.locks.acquire(`layer:${chainId}`, operation.signal);
  if (findLayer(room.store, chainId) !== undefined) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot make the layer ${chainId}: it was removed while it was made again. Try again`,
  );
}
