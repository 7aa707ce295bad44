/**
 * Making volumes for claims, and deleting them. The claim says what is being made before it is, and cannot go until that
 * has become a PersistentVolume or was deleted again: whatever the crash, nothing is made twice, lost or left.
 */
import type { Provisioner } from "../../../drivers/volume/port.ts";
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { formatQuantity } from "../../core/quantity.ts";
import { faultPoint } from "../../host/faults.ts";
import { change, type ClaimRoom, keyOf, tell, withAnnotations, withFinalizer, withoutFinalizer } from "./claim_room.ts";
import { withStatus } from "./claim_room.ts";
import type { Origin } from "./plan.ts";
import { ASKED_PROVISIONER, type Claim, type Class, PROVISIONED_BY, PROVISIONING } from "./views.ts";
import { type Volume, VOLUME_PROTECTION } from "./views.ts";

/** On a claim: with which parameters its volume is being made; the class may be gone when it matters. */
const ASKED_PARAMETERS = "lamina.dev/provision-parameters";
const SELECTED_NODE = "volume.kubernetes.io/selected-node";

/** Makes a volume for a claim, as a PersistentVolume that is reserved for it. */
export async function provisionClaim(
  room: ClaimRoom,
  { claim, class: wanted, from }: { readonly claim: Claim; readonly class: Class; readonly from?: Origin },
  operation: Operation,
): Promise<void> {
  const provisioner = room.provisioners.get(wanted.provisioner)!;
  const asked = await change(room, claim.object, (object) => {
    if (object.metadata.deletionTimestamp !== undefined) return object;
    const annotations = {
      [ASKED_PROVISIONER]: wanted.provisioner,
      [ASKED_PARAMETERS]: JSON.stringify(wanted.parameters),
      ...(wanted.waits ? { [SELECTED_NODE]: room.node.name } : {}),
    };
    const pending = claim.phase === undefined ? withStatus(object, { phase: "Pending" }) : object;
    return withAnnotations(withFinalizer(pending, PROVISIONING), annotations);
  });
  if (asked === undefined || asked.metadata.deletionTimestamp !== undefined) return;
  const name = `pvc-${claim.uid}`;
  const made = await provisioner.provision({
    name,
    size_bytes: claim.requested_bytes,
    access_modes: claim.access_modes,
    volume_mode: claim.volume_mode,
    parameters: wanted.parameters,
    ...(from === undefined
      ? {}
      : { from: "snapshot" in from ? { snapshotHandle: from.snapshot.handle } : { source: from.volume.source } }),
  }, operation);
  faultPoint("claims.volume_made");
  try {
    await room.objects.create({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name, ...{ annotations: { [PROVISIONED_BY]: wanted.provisioner } } },
      spec: {
        capacity: { storage: formatQuantity(made.size_bytes) },
        accessModes: claim.access_modes,
        volumeMode: claim.volume_mode,
        persistentVolumeReclaimPolicy: wanted.reclaim,
        storageClassName: wanted.name,
        ...(wanted.mount_options.length > 0 ? { mountOptions: wanted.mount_options } : {}),
        claimRef: {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          namespace: claim.namespace,
          name: claim.name,
          uid: claim.uid,
        },
        nodeAffinity: hereOnly(room.node.name),
        ...made.source,
      },
    });
  } catch (error) {
    if (!isLaminaError(error, "ALREADY_EXISTS")) throw error;
  }
  faultPoint("claims.volume_stored");
  tell(room, claim.object, "Normal", "ProvisioningSucceeded", `Successfully provisioned volume ${name}`);
}

/** A claim goes before its volume is an object: what was made for it goes first. */
export async function discardClaim(room: ClaimRoom, claim: Claim, operation: Operation): Promise<void> {
  const name = `pvc-${claim.uid}`;
  // As an object it goes as all volumes do.
  if (room.objects.get({ kind: "PersistentVolume", namespace: "", name }) === undefined) {
    const provisioner = provisionerNamed(room, claim.annotations[ASKED_PROVISIONER]);
    const parameters = JSON.parse(claim.annotations[ASKED_PARAMETERS] ?? "{}") as Record<string, string>;
    await provisioner.discard(name, parameters, operation);
  }
  await change(room, claim.object, (object) => withoutFinalizer(object, PROVISIONING));
}

/** Deletes a released volume: its data, then its object. */
export async function reclaimVolume(
  room: ClaimRoom,
  { volume, provisioner, twin }: { readonly volume: Volume; readonly provisioner?: string; readonly twin?: string },
  operation: Operation,
): Promise<void> {
  try {
    if (twin !== undefined) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot delete the storage of ${volume.name}: volume ${twin} shows the same. Delete one of the two objects`,
      );
    }
    await provisionerNamed(room, provisioner).remove(volume.source, operation);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const failed = (object: typeof volume.object) => withStatus(object, { phase: "Failed", message });
    await change(room, volume.object, failed);
    throw error;
  }
  faultPoint("claims.reclaimed");
  await change(room, volume.object, (object) => withoutFinalizer(object, VOLUME_PROTECTION));
  await room.objects.delete(keyOf(volume.object), operation);
}

/** @throws `UNSUPPORTED` where there is none of that name. */
export function provisionerNamed(room: ClaimRoom, name: string | undefined): Provisioner {
  const found = name === undefined ? undefined : room.provisioners.get(name);
  if (found !== undefined) return found;
  throw new LaminaError(
    "UNSUPPORTED",
    name === undefined
      ? "it was not made by a provisioner, so none can delete it. Use the policy Retain, and delete the object"
      : `the provisioner "${name}" is not here. There are: ${[...room.provisioners.keys()].join(", ")}`,
  );
}

function hereOnly(hostname: string) {
  const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [hostname] }];
  return { required: { nodeSelectorTerms: [{ matchExpressions }] } };
}
