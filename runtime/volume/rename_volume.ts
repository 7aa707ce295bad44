/** A volume gets another name: its directory and its row, in this order. */
import { LaminaError } from "../core/errors.ts";
import { renameDurably } from "../host/durable.ts";
import { faultPoint } from "../host/faults.ts";
import { kindOf, LocalPlace } from "../../drivers/volume/named/local/local_place.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { assertLocal, refuseUsed, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, volumeRow } from "./volume_rows.ts";

/**
 * Renames a volume that nobody uses; the caller holds the locks of both names. What was anonymous has a name now.
 *
 * @throws `NOT_FOUND`, `ALREADY_EXISTS`, `CONFLICT` (in use, or an unknown directory of the new name), `UNSUPPORTED`.
 */
export async function renameVolume(room: VolumeRoom, name: string, to: string, users: readonly string[]) {
  const attempted = `Cannot rename volume "${name}" to "${to}"`;
  const row = volumeRow(room.store, name);
  if (name === to) return;
  assertLocal(attempted, row);
  refuseUsed(attempted, name, users);
  if (findVolumeRow(room.store, to) !== undefined) {
    throw new LaminaError("ALREADY_EXISTS", `${attempted}: a volume of that name exists. Choose another name`, {
      details: { volume: to },
    });
  }
  const target = new LocalPlace(room.layout, to).directory;
  if (kindOf(target) !== "absent") {
    throw new LaminaError("CONFLICT", `${attempted}: ${target} exists and is no volume's. Move it away`);
  }
  room.local.refuseMounts({ name, options: JSON.parse(row.options) });
  const intent = await room.store.write((tx) => beginIntent(tx, "volume.rename", name, { to }));
  faultPoint("volume.rename_begun");
  try {
    await renameDurably(new LocalPlace(room.layout, name).directory, target);
  } catch (error) {
    await recoverRename(room, intent);
    throw error;
  }
  faultPoint("volume.renamed");
  await room.store.write((tx) => finish(tx, intent));
  room.events.emit({ kind: "volume", action: "rename", id: to, name: to, attributes: { from: name } });
}

/** The directory tells how far it came. */
export async function recoverRename(room: VolumeRoom, intent: Intent): Promise<void> {
  const moved = kindOf(new LocalPlace(room.layout, intent.object).directory) === "absent" &&
    kindOf(new LocalPlace(room.layout, intent.data.to as string).directory) === "directory";
  await room.store.write((tx) => {
    if (moved) finish(tx, intent);
    else endIntent(tx, intent);
  }, { frees: true });
}

function finish(tx: Transaction, intent: Intent): void {
  tx.run("UPDATE volumes SET name = ?, anonymous = 0 WHERE name = ?", intent.data.to as string, intent.object);
  endIntent(tx, intent);
}
