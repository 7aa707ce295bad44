/** Moves the layers of images: each one's original archive is put together from the old driver and applied to the new. */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { isLaminaError } from "../core/errors.ts";
import type { Digest, SnapshotKey } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import type { MigrationRoom } from "./migration_room.ts";

/** Label of a copy that is not verified yet. */
export const UNVERIFIED = "lamina/migrating";

interface LayerRow {
  readonly chain_id: SnapshotKey;
  readonly diff_id: Digest;
  readonly parent: SnapshotKey | null;
  readonly tar_bytes: number;
}

/**
 * Copies the layers that `to` does not have yet, parents first. A copy counts when the archive that comes out of the
 * new driver, by the recipe that is kept, has the layer's diffID.
 *
 * @returns how many layers there are.
 * @throws `DATA_LOSS` (a layer is damaged: names it), `RESOURCE_EXHAUSTED`.
 */
export async function copyLayers(
  { containers: { store, layout } }: MigrationRoom,
  from: StorageDriver,
  to: StorageDriver,
  operation: Operation,
): Promise<number> {
  const layers = parentsFirst(
    store.all<LayerRow>("SELECT chain_id, diff_id, parent, tar_bytes FROM layers ORDER BY created_at_ms, chain_id"),
  );
  for (const [done, layer] of layers.entries()) {
    operation.signal.throwIfAborted();
    const id = layer.diff_id.slice(7, 19);
    operation.progress({ phase: "layers", id, current: done, total: layers.length, unit: "steps" });
    const { chain_id: name, diff_id: diffId } = layer;
    if (await isVerified(to, name)) continue;
    const { labels } = await from.stat(name);
    const recipePath = layout.recipe(name), spare = `${layout.staging}/recipe-${crypto.randomUUID()}`;
    await to.apply({
      name,
      parent: layer.parent ?? undefined,
      parentReady: Promise.resolve(),
      blob: { source: from.reassemble(name, recipePath, diffId, operation), compression: "none", diffId },
      labels: { ...labels, [UNVERIFIED]: "yes" },
      recipePath: spare,
    }, { ...operation, progress: () => {} });
    // The recipe that there is fits both: it names files by their paths in the layer.
    await Deno.remove(spare);
    faultPoint("migrate.layer_copied");
    for await (const _ of to.reassemble(name, recipePath, diffId, operation)) {
      // The stream fails at its end when the bytes do not hash to the diffID.
    }
    await to.update(name, labels);
    faultPoint("migrate.layer_verified");
  }
  return layers.length;
}

async function isVerified(driver: StorageDriver, name: SnapshotKey): Promise<boolean> {
  try {
    return (await driver.stat(name)).labels[UNVERIFIED] === undefined;
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return false;
    throw error;
  }
}

function parentsFirst(layers: readonly LayerRow[]): LayerRow[] {
  const byName = new Map(layers.map((layer) => [layer.chain_id, layer]));
  const ordered = new Set<LayerRow>();
  const add = (layer: LayerRow) => {
    // Chains are long: the way down first, then up again.
    const chain: LayerRow[] = [];
    for (let at: LayerRow | undefined = layer; at !== undefined && !ordered.has(at);) {
      chain.push(at);
      at = at.parent === null ? undefined : byName.get(at.parent);
    }
    for (const each of chain.reverse()) ordered.add(each);
  };
  layers.forEach(add);
  return [...ordered];
}
