/** Takes away layers that nothing needs. */
import { isLaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { hostError } from "../host/errno_errors.ts";
import type { Reader, Transaction } from "../store/store.ts";
import type { ImageRoom } from "./image_room.ts";
import { findLayer } from "./image_rows.ts";

/** Layers that are gone, and what they took on disk. */
export interface FreedLayers {
  readonly deleted: readonly string[];
  readonly reclaimed_bytes: number;
}

/**
 * Removes those of `chainIds` that nothing needs any more: no image, no layer above, nothing under way.
 *
 * @param chainIds Children before parents.
 */
export async function freeLayers(
  room: ImageRoom,
  chainIds: Iterable<string>,
  operation: Operation,
): Promise<FreedLayers> {
  const deleted: string[] = [];
  let reclaimed_bytes = 0;
  for (const chainId of chainIds) {
    const freed_bytes = await freeLayer(room, chainId as SnapshotKey, operation);
    if (freed_bytes === undefined) continue;
    deleted.push(chainId);
    reclaimed_bytes += freed_bytes;
  }
  if (deleted.length > 0) await room.driver.cleanup(operation);
  return { deleted, reclaimed_bytes };
}

/**
 * Removes everything that no image needs: layers of the store, snapshots of the driver that never became a layer, and
 * recipes without a layer. What is under way is left alone.
 */
export async function freeAllLayers(room: ImageRoom, operation: Operation): Promise<FreedLayers> {
  const deleted: string[] = [];
  let reclaimed_bytes = 0;
  for (;;) {
    const freed = await freeLayers(room, unneededTops(room.store), operation);
    deleted.push(...freed.deleted);
    reclaimed_bytes += freed.reclaimed_bytes;
    if (freed.deleted.length === 0) break;
  }
  deleted.push(...await freeStraySnapshots(room, operation));
  await removeStrayRecipes(room);
  return { deleted, reclaimed_bytes };
}

/** Bytes that its removal freed; `undefined` when it stays. */
async function freeLayer(room: ImageRoom, chainId: SnapshotKey, operation: Operation): Promise<number | undefined> {
  // Not worth waiting for the lock, which whoever unpacks the layer holds for long.
  if (room.pins.has(chainId) || isNeeded(room.store, chainId)) return undefined;
  using _lock = await room.locks.acquire(`layer:${chainId}`, operation.signal);
  // Who pins from now on waits for the lock and then finds no layer.
  if (room.pins.has(chainId) || isNeeded(room.store, chainId)) return undefined;
  const layer = findLayer(room.store, chainId);
  let deletedRow = false;
  const deleteRow = (tx: Transaction) => {
    tx.run("DELETE FROM layers WHERE chain_id = ?", chainId);
    deletedRow = true;
  };
  try {
    await room.driver.remove(chainId, operation, { alongside: deleteRow });
  } catch (error) {
    // A snapshot on top that is no layer: a container's. The layer goes with the next collection after it.
    if (isLaminaError(error, "CONFLICT")) return undefined;
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    deletedRow = false;
  }
  if (!deletedRow) await room.store.write(deleteRow, { frees: true });
  await removeFile(room.layout.recipe(chainId));
  return layer?.size_bytes ?? 0;
}

function isNeeded(reader: Reader, chainId: string): boolean {
  return reader.get(
    `SELECT 1 WHERE EXISTS (SELECT 1 FROM image_layers WHERE chain_id = ?1)
     OR EXISTS (SELECT 1 FROM layers WHERE parent = ?1)`,
    chainId,
  ) !== undefined;
}

function unneededTops(reader: Reader): string[] {
  return reader.all<{ chain_id: string }>(
    `SELECT chain_id FROM layers
     WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE image_layers.chain_id = layers.chain_id)
     AND NOT EXISTS (SELECT 1 FROM layers AS above WHERE above.parent = layers.chain_id)`,
  ).map(({ chain_id }) => chain_id);
}

/** Committed, but the process ended before the store knew of the layer. */
async function freeStraySnapshots(room: ImageRoom, operation: Operation): Promise<string[]> {
  const parents = new Map<string, string | undefined>();
  for await (const { key, parent } of room.driver.walk({ kind: "committed", keyPrefix: "sha256:" })) {
    if (findLayer(room.store, key) === undefined) parents.set(key, parent);
  }
  const deleted: string[] = [];
  // Children first; what is left in the end has a child that is no stray.
  while (parents.size > 0) {
    const below = new Set(parents.values());
    const tops = [...parents.keys()].filter((key) => !below.has(key));
    if (tops.length === 0) break;
    deleted.push(...(await freeLayers(room, tops, operation)).deleted);
    tops.forEach((key) => parents.delete(key));
  }
  return deleted;
}

async function removeStrayRecipes(room: ImageRoom): Promise<void> {
  for (const name of await listNames(room.layout.recipes)) {
    const chainId = `sha256:${name}`;
    // Other names are recipes on their way; the next start removes what a crash left of them.
    if (!/^[0-9a-f]{64}$/.test(name) || room.locks.isBusy(`layer:${chainId}`) || room.pins.has(chainId)) continue;
    if (findLayer(room.store, chainId) === undefined) await removeFile(room.layout.recipe(chainId));
  }
}

/** Recipes that no layer has, half-written ones too. Only while nothing is under way: at a start. */
export async function removeUnfinishedRecipes(room: ImageRoom): Promise<void> {
  for (const name of await listNames(room.layout.recipes)) {
    if (findLayer(room.store, `sha256:${name}`) === undefined) await removeFile(`${room.layout.recipes}/${name}`);
  }
}

async function listNames(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw hostError(error, `Cannot list ${directory}`);
  }
}

/** Deletes a file of ours; absent is success. */
export async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot delete ${path}`);
  }
}
