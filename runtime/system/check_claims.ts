/** PersistentVolumes without storage, and storage that no object speaks of. */
import { basename, dirname } from "@std/path/posix";
import type { Operation } from "../core/operation.ts";
import type { ClaimRoom } from "../volume/claims/claim_room.ts";
import { claimOf, classOf, PROVISIONED_BY, PROVISIONING, snapshotOf, volumeOf } from "../volume/claims/views.ts";
import type { CurableFinding } from "./finding.ts";
import { isThereSync } from "../host/is_there.ts";

/** Nothing of it is repaired: what is there is somebody's data, and what is gone is gone. */
export async function checkClaims(
  { objects, provisioners }: ClaimRoom,
  operation: Operation,
): Promise<CurableFinding[]> {
  const volumes = objects.list("PersistentVolume").map(volumeOf);
  const claims = objects.list("PersistentVolumeClaim").map(claimOf);
  const paths = volumes.map(({ source }) => (source.local as { path?: string } | undefined)?.path ?? "");
  const owned = new Set([
    ...volumes.map(({ name }) => name),
    // A volume that somebody made an object for has another name.
    ...paths.flatMap((path) => [basename(path), basename(dirname(path))]),
    ...objects.list("VolumeSnapshot").map((object) => `snap-${snapshotOf(object).uid}`),
    ...claims.filter(({ finalizers }) => finalizers.includes(PROVISIONING)).map(({ uid }) => `pvc-${uid}`),
  ]);
  const findings: CurableFinding[] = [];
  const claimed = new Set(claims.map(({ uid }) => uid));
  for (const [i, volume] of volumes.entries()) {
    if (volume.annotations[PROVISIONED_BY] === undefined || volume.deleting || isThereSync(paths[i]!)) continue;
    // Its claim has gone: its data goes before the object does.
    if (volume.reclaim === "Delete" && !claimed.has(volume.claim?.uid ?? "")) continue;
    findings.push({
      kind: "missing-volume-data",
      object: volume.name,
      message: `${
        paths[i]
      }, where its data should be, does not exist. Mount or activate what it lies on, or restore it`,
    });
  }
  const classes = objects.list("StorageClass").map(classOf);
  const asked = new Set<string>();
  for (const [name, provisioner] of provisioners) {
    const parameters = [{}, ...classes.filter((one) => one.provisioner === name).map((one) => one.parameters)];
    for (const of of parameters) {
      for (const path of await provisioner.list?.(of, operation) ?? []) {
        if (owned.has(basename(path)) || asked.has(path)) continue;
        asked.add(path);
        findings.push({
          kind: "unowned-volume-data",
          object: path,
          message: "It holds the data of a PersistentVolume or snapshot that was deleted without it. Make a " +
            "PersistentVolume of it to use it, or delete it",
        });
      }
    }
  }
  return findings;
}
