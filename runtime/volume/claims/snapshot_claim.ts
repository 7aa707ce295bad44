/** Taking and deleting snapshots of claims' volumes. */
import { messageOf } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { formatQuantity } from "../../core/quantity.ts";
import { faultPoint } from "../../host/faults.ts";
import { LaminaError } from "../../core/errors.ts";
import {
  change,
  type ClaimRoom,
  tell,
  withAnnotations,
  withFinalizer,
  withoutFinalizer,
  withStatus,
} from "./claim_room.ts";
import { provisionerNamed } from "./provision_claim.ts";
import { PROVISIONED_BY, type Snapshot, SNAPSHOT_PROTECTION, type Volume, volumeOf } from "./views.ts";

/** On a snapshot: the volume that it is being taken of. */
const SOURCE_VOLUME = "lamina.dev/source-volume";

/** Takes it. The object cannot go before what is made for it is known to it or deleted. */
export async function takeSnapshot(
  room: ClaimRoom,
  { snapshot, volume }: { readonly snapshot: Snapshot; readonly volume: Volume },
  operation: Operation,
): Promise<void> {
  const begun = await change(
    room,
    snapshot.object,
    (object) =>
      object.metadata.deletionTimestamp !== undefined
        ? object
        : withAnnotations(withFinalizer(object, SNAPSHOT_PROTECTION), { [SOURCE_VOLUME]: volume.name }),
  );
  if (begun === undefined || begun.metadata.deletionTimestamp !== undefined) return;
  const provisioner = volume.annotations[PROVISIONED_BY]!;
  try {
    const { handle, size_bytes } = await snap(room, provisioner, snapshot, volume, operation);
    faultPoint("claims.snapshot_made");
    await change(room, snapshot.object, (object) =>
      withStatus(object, {
        readyToUse: true,
        creationTime: new Date().toISOString(),
        restoreSize: formatQuantity(size_bytes),
        boundVolumeSnapshotContentName: `snapcontent-${snapshot.uid}`,
        handle,
        provisioner,
        error: undefined,
      }));
  } catch (error) {
    await noteSnapshotError(room, snapshot, messageOf(error));
    throw error;
  }
  tell(room, snapshot.object, "Normal", "SnapshotReady", `Snapshot of claim ${snapshot.claim} is ready to use`);
}

/** Says in the status why there is no snapshot. */
export async function noteSnapshotError(room: ClaimRoom, snapshot: Snapshot, message: string): Promise<void> {
  await change(room, snapshot.object, (object) => {
    const before = (object.status as { error?: { message?: string } } | undefined)?.error;
    if (before?.message === message) return object;
    return withStatus(object, { readyToUse: false, error: { message, time: new Date().toISOString() } });
  });
}

/** Deletes what the object stands for, then lets it go. */
export async function deleteSnapshot(room: ClaimRoom, snapshot: Snapshot, operation: Operation): Promise<void> {
  let { handle, provisioner } = snapshot;
  const volumeName = snapshot.annotations[SOURCE_VOLUME];
  if (handle === undefined && volumeName !== undefined) {
    // Interrupted while it was taken. Asked again, the provisioner tells what there is.
    const object = room.objects.get({ kind: "PersistentVolume", namespace: "", name: volumeName });
    if (object !== undefined) {
      const volume = volumeOf(object);
      provisioner = volume.annotations[PROVISIONED_BY];
      try {
        ({ handle } = await snap(room, provisioner, snapshot, volume, operation));
      } catch (error) {
        // It never could be made.
        if (!(error instanceof LaminaError) || !["UNSUPPORTED", "NOT_FOUND"].includes(error.code)) throw error;
      }
    }
  }
  if (handle !== undefined) await provisionerNamed(room, provisioner).removeSnapshot!(handle, operation);
  await change(room, snapshot.object, (object) => withoutFinalizer(object, SNAPSHOT_PROTECTION));
}

function snap(
  room: ClaimRoom,
  provisioner: string | undefined,
  snapshot: Snapshot,
  volume: Volume,
  operation: Operation,
) {
  const { snapshot: take } = provisionerNamed(room, provisioner);
  if (take === undefined) throw new LaminaError("UNSUPPORTED", `The provisioner ${provisioner} has no snapshots`);
  return take.call(provisionerNamed(room, provisioner), volume.source, `snap-${snapshot.uid}`, operation);
}
