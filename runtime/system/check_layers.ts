/** Compares the rows of layers with the driver's snapshots and the recipes of the original archives. */
import { VIEW_PREFIX } from "../container/image_mounts.ts";
import { isLaminaError, messageOf } from "../core/errors.ts";
import type { Digest, SnapshotKey } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { removeFile } from "../image/layer_garbage.ts";
import type { CurableFinding } from "./finding.ts";
import type { SystemRoom } from "./system_room.ts";
import { isThere } from "../host/is_there.ts";

interface LayerRow {
  readonly chain_id: SnapshotKey;
  readonly diff_id: Digest;
}

/**
 * The findings. With `deep` each layer's original archive is put together again and hashed, which reads every file.
 */
export async function checkLayers(
  room: SystemRoom,
  options: { readonly deep: boolean },
  operation: Operation,
): Promise<CurableFinding[]> {
  const { containers: { store, driver, layout, locks } } = room;
  const findings: CurableFinding[] = [];
  const layers = store.all<LayerRow>("SELECT chain_id, diff_id FROM layers ORDER BY created_at_ms");
  for (const [done, layer] of layers.entries()) {
    operation.signal.throwIfAborted();
    operation.progress({ phase: "check", id: layer.chain_id, current: done, total: layers.length, unit: "steps" });
    const object = `layer ${layer.chain_id}`;
    const again = "Remove the images that have it and import them again";
    if (!await hasSnapshot(room, layer.chain_id)) {
      findings.push({ kind: "missing-snapshot", object, message: `Its files are gone. ${again}` });
    } else if (!await isThere(layout.recipe(layer.chain_id))) {
      findings.push({ kind: "missing-recipe", object, message: `It can be used but not exported. ${again}` });
    } else if (options.deep) {
      const damage = await verify(room, layer, operation);
      if (damage !== undefined) {
        findings.push({ kind: "damaged-layer", object, message: `${damage}. ${again}` });
      }
    }
  }
  for await (const { name } of Deno.readDir(layout.recipes)) {
    const known = store.get("SELECT 1 FROM layers WHERE chain_id = ?", `sha256:${name}`);
    if (known !== undefined || locks.isBusy(`layer:sha256:${name}`) || room.gate.running > 1) continue;
    const path = `${layout.recipes}/${name}`;
    findings.push({
      kind: "orphan-recipe",
      object: path,
      message: "It belongs to no layer",
      repair: () => removeFile(path),
    });
  }
  // What is being imported or committed has snapshots before it has layers.
  if (room.gate.running > 1) return findings;
  for await (const { key } of driver.walk()) {
    // Those of containers are looked at with these.
    const ofContainer = key.startsWith("container/") || key.startsWith(VIEW_PREFIX);
    if (ofContainer || store.get("SELECT 1 FROM layers WHERE chain_id = ?", key) !== undefined) {
      continue;
    }
    findings.push({
      kind: "orphan-snapshot",
      object: key,
      message: "No layer and no container has this snapshot",
      repair: () => driver.remove(key, operation),
    });
  }
  // Children first, so that the repair finds each without any.
  return findings.reverse();
}

async function hasSnapshot({ containers: { driver } }: SystemRoom, chainId: SnapshotKey): Promise<boolean> {
  try {
    await driver.stat(chainId);
    return true;
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return false;
    throw error;
  }
}

async function verify(
  { containers: { driver, layout } }: SystemRoom,
  { chain_id, diff_id }: LayerRow,
  operation: Operation,
): Promise<string | undefined> {
  try {
    for await (const _ of driver.reassemble(chain_id, layout.recipe(chain_id), diff_id, operation)) {
      // The stream fails at its end when the bytes do not hash to the diffID.
    }
    return undefined;
  } catch (error) {
    operation.signal.throwIfAborted();
    if (!isLaminaError(error, "DATA_LOSS", "NOT_FOUND")) throw error;
    return messageOf(error);
  }
}
