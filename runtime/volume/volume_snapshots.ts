/** Frozen states of local volumes, and new volumes made from them or from volumes. */
import { LaminaError } from "../core/errors.ts";
import type { VolumeSnapshot } from "../core/model/volume.ts";
import type { Operation } from "../core/operation.ts";
import { renameDurably } from "../host/durable.ts";
import { makeDirectoryDurably } from "../host/durable.ts";
import { faultPoint } from "../host/faults.ts";
import { kindOf } from "../../drivers/volume/named/local/local_place.ts";
import type { LocalCopies } from "../../drivers/volume/named/local/local_copies.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { assertLocal, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, namedVolume, type VolumeRow, volumeRow } from "./volume_rows.ts";

interface SnapshotRow {
  readonly volume: string;
  readonly name: string;
  readonly method: "shared" | "copy";
  readonly state: "creating" | "ready" | "removing";
  readonly created_at_ms: number;
}

/** Snapshots of one volume, oldest first. */
export function listSnapshots(reader: Reader, volume: string): VolumeSnapshot[] {
  volumeRow(reader, volume);
  return reader.all<SnapshotRow>(
    "SELECT * FROM volume_snapshots WHERE volume = ? AND state = 'ready' ORDER BY created_at_ms, name",
    volume,
  ).map(shown);
}

/** How many snapshots a volume has, those that are being made or removed included. */
export function snapshotCount(reader: Reader, volume: string): number {
  return reader.get<{ n: number }>("SELECT count(*) AS n FROM volume_snapshots WHERE volume = ?", volume)!.n;
}

/** Where the files of a snapshot are. @throws `NOT_FOUND` */
export function snapshotPath(room: VolumeRoom, row: VolumeRow, snapshot: string): string {
  const found = findSnapshot(room.store, row.name, snapshot);
  if (found?.state !== "ready") throw noSnapshot(row.name, snapshot);
  return room.local.place(row).snapshot(snapshot);
}

/**
 * Freezes what a volume holds now; the caller holds its lock.
 *
 * @param data Where its data is to be seen, if it is.
 * @throws `ALREADY_EXISTS`, `UNSUPPORTED` (blocks cannot be shared, unless `copy`).
 */
export async function makeSnapshot(
  room: VolumeRoom,
  copies: LocalCopies,
  request: { readonly volume: string; readonly name: string; readonly copy: boolean; readonly data?: string },
  operation: Operation,
): Promise<VolumeSnapshot> {
  const { volume, name, copy } = request;
  const attempted = `Cannot make the snapshot "${name}" of volume "${volume}"`;
  const row = volumeRow(room.store, volume);
  assertLocal(attempted, row);
  if (findSnapshot(room.store, volume, name) !== undefined) {
    throw new LaminaError("ALREADY_EXISTS", `${attempted}: it has one of that name. Choose another`, {
      details: { volume, snapshot: name },
    });
  }
  const place = room.local.place(row);
  const intent = await room.store.write((tx) => {
    tx.run(
      "INSERT INTO volume_snapshots (volume, name, method, state, created_at_ms) VALUES (?, ?, 'shared', 'creating', ?)",
      volume,
      name,
      Date.now(),
    );
    return beginIntent(tx, "volume.snapshot", volume, { snapshot: name });
  });
  faultPoint("volume.snapshot_begun");
  try {
    await makeDirectoryDurably(place.snapshots, 0o700);
    const method = await copies.copy(
      namedVolume(row),
      request.data,
      place.snapshot(name),
      { copy, frozen: true },
      operation,
    );
    faultPoint("volume.snapshot_made");
    await room.store.write((tx) => {
      tx.run(
        "UPDATE volume_snapshots SET state = 'ready', method = ? WHERE volume = ? AND name = ?",
        method,
        volume,
        name,
      );
      endIntent(tx, intent);
    });
  } catch (error) {
    await recoverSnapshot(room, intent, { signal: AbortSignal.timeout(60_000), progress: () => {} });
    throw error;
  }
  room.events.emit({ kind: "volume", action: "snapshot", id: volume, name: volume, attributes: { snapshot: name } });
  return shown(findSnapshot(room.store, volume, name)!);
}

/** Deletes a snapshot; the caller holds the volume's lock. @throws `NOT_FOUND` */
export async function removeSnapshot(
  room: VolumeRoom,
  volume: string,
  name: string,
  operation: Operation,
): Promise<void> {
  volumeRow(room.store, volume);
  if (findSnapshot(room.store, volume, name)?.state !== "ready") throw noSnapshot(volume, name);
  const intent = await room.store.write((tx) => {
    tx.run("UPDATE volume_snapshots SET state = 'removing' WHERE volume = ? AND name = ?", volume, name);
    return beginIntent(tx, "volume.snapshot", volume, { snapshot: name });
  }, { frees: true });
  faultPoint("volume.snapshot_remove_begun");
  await recoverSnapshot(room, intent, operation);
}

/** Takes away what is not whole, or shall not be there any more. */
export async function recoverSnapshot(room: VolumeRoom, intent: Intent, operation: Operation): Promise<void> {
  const volume = intent.object, name = intent.data.snapshot as string;
  const trash = `${room.layout.trash}/snapshot-${crypto.randomUUID()}`;
  const row = findVolumeRow(room.store, volume);
  let moved = false;
  if (row !== undefined) {
    const path = room.local.place(row).snapshot(name);
    moved = kindOf(path) !== "absent";
    if (moved) {
      // Nothing frozen may come into the trash: it could not be deleted there.
      await room.local.trees.thaw(path);
      await renameDurably(path, trash);
    }
  }
  await room.store.write((tx) => forget(tx, intent), { frees: true });
  faultPoint("volume.snapshot_forgotten");
  if (moved) await room.engine.removeTree(trash, operation);
}

function forget(tx: Transaction, intent: Intent): void {
  tx.run(
    "DELETE FROM volume_snapshots WHERE volume = ? AND name = ? AND state <> 'ready'",
    intent.object,
    intent.data.snapshot as string,
  );
  endIntent(tx, intent);
}

function findSnapshot(reader: Reader, volume: string, name: string): SnapshotRow | undefined {
  return reader.get<SnapshotRow>("SELECT * FROM volume_snapshots WHERE volume = ? AND name = ?", volume, name);
}

function noSnapshot(volume: string, name: string): LaminaError {
  return new LaminaError(
    "NOT_FOUND",
    `Volume "${volume}" has no snapshot ${JSON.stringify(name.slice(0, 80))}. "lamina volume snapshots ${volume}" ` +
      "shows those that it has",
    { details: { volume, snapshot: name.slice(0, 80) } },
  );
}

function shown({ volume, name, created_at_ms, method }: SnapshotRow): VolumeSnapshot {
  return { volume, name, created_at: new Date(created_at_ms).toISOString(), method };
}
