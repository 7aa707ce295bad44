/** A volume of limited size gets more. It never shrinks. */
import { planLocal } from "../../drivers/volume/named/local/local_options.ts";
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { assertLocal, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, namedVolume, type VolumeRow, volumeRow } from "./volume_rows.ts";

/**
 * Raises the limit of a volume, online; the caller holds its lock.
 *
 * @returns whether its file system grows at its next mount only: growing a mounted ext4 needs CAP_SYS_RESOURCE.
 * @throws `UNSUPPORTED` (it has no size of its own), `INVALID_ARGUMENT` (smaller), `RESOURCE_EXHAUSTED`.
 */
export async function resizeVolume(
  room: VolumeRoom,
  name: string,
  size_bytes: number,
  operation: Operation,
): Promise<{ readonly pending: boolean }> {
  const attempted = `Cannot resize volume "${name}" to ${size_bytes} bytes`;
  const row = volumeRow(room.store, name);
  assertLocal(attempted, row);
  const { from, path } = await sizeOf(room, row, attempted, operation);
  if (size_bytes === from) return { pending: false };
  if (size_bytes < from) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `${attempted}: it has ${from}, and volumes never shrink. Make a smaller volume and copy what matters ` +
        "(lamina volume backup and restore)",
      { details: { volume: name, size_bytes: from } },
    );
  }
  const intent = await room.store.write((tx) => beginIntent(tx, "volume.resize", name, {}));
  faultPoint("volume.resize_begun");
  let now_bytes = from, pending = false;
  try {
    const backing = await room.local.trees.backingOf(path);
    ({ size_bytes: now_bytes, pending } = await backing.grow(path, size_bytes, operation));
    faultPoint("volume.resized");
  } finally {
    await room.store.write((tx) => finish(tx, intent, now_bytes));
  }
  room.events.emit({
    kind: "volume",
    action: "resize",
    id: name,
    name,
    attributes: { size_bytes: String(now_bytes) },
  });
  return { pending: pending && room.local.isMounted(namedVolume(row)) };
}

/** What the kernel enforces by now is what the volume has. */
export async function recoverResize(room: VolumeRoom, intent: Intent, operation: Operation): Promise<void> {
  const row = findVolumeRow(room.store, intent.object);
  let size_bytes = 0;
  if (row !== undefined) {
    const { from, path } = await sizeOf(room, row, "Cannot finish a resize", operation);
    // The image may have grown, and the file system in it not yet.
    ({ size_bytes } = await (await room.local.trees.backingOf(path)).grow(path, from, operation));
  }
  await room.store.write((tx) => finish(tx, intent, size_bytes), { frees: true });
}

async function sizeOf(
  room: VolumeRoom,
  row: VolumeRow,
  attempted: string,
  operation: Operation,
): Promise<{ readonly from: number; readonly path: string }> {
  const volume = namedVolume(row);
  if (planLocal(volume).kind !== "sized") {
    throw new LaminaError(
      "UNSUPPORTED",
      `${attempted}: it was made without the option "size". Make a volume with one and restore a backup into it`,
      { details: { volume: row.name } },
    );
  }
  const { image, data, isImage } = room.local.place(volume);
  const path = isImage ? image : data;
  const { capacity_bytes } = await (await room.local.trees.backingOf(path)).usage(path, operation);
  return { from: capacity_bytes, path };
}

/** The options say what is enforced: a volume is asked for again by what it shows. */
function finish(tx: Transaction, intent: Intent, size_bytes: number): void {
  const row = findVolumeRow(tx, intent.object);
  if (row !== undefined && size_bytes > 0) {
    const options: Record<string, string> = JSON.parse(row.options);
    const known = planLocal({ name: row.name, options });
    if (known.kind === "sized" && size_bytes > known.size_bytes) {
      const changed = JSON.stringify({ ...options, size: String(size_bytes) });
      tx.run("UPDATE volumes SET options = ? WHERE name = ?", changed, intent.object);
    }
  }
  endIntent(tx, intent);
}
