/** Claims that live and die with a pod: `ephemeral` volumes. */
import { isLaminaError } from "../core/errors.ts";
import type { KubeObject } from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import type { Pod } from "../core/specs/kube/pod.ts";
import type { ObjectStore } from "../objects/port.ts";
import { claimNameOf, isOwned } from "./resolve_volumes.ts";

/** Makes those that are missing. One of that name that is somebody else's stays, and is told by the resolution. */
export async function makeEphemeralClaims(objects: ObjectStore, pod: Pod & KubeObject): Promise<void> {
  const { name: podName, namespace = "default", uid } = pod.metadata;
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.ephemeral === undefined) continue;
    const name = claimNameOf(podName, volume)!;
    if (objects.get({ kind: "PersistentVolumeClaim", namespace, name }) !== undefined) continue;
    const { metadata, spec } = volume.ephemeral.volumeClaimTemplate;
    try {
      await objects.create({
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: {
          ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
          ...(metadata?.annotations === undefined ? {} : { annotations: metadata.annotations }),
          name,
          namespace,
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: podName, uid, controller: true }],
        } as { name: string; namespace: string },
        spec,
      });
      faultPoint("pod.claim_made");
    } catch (error) {
      if (!isLaminaError(error, "ALREADY_EXISTS")) throw error;
    }
  }
}

/** Deletes those that were made for the pod. */
export async function deleteEphemeralClaims(
  objects: ObjectStore,
  pod: KubeObject,
  operation: Operation,
): Promise<void> {
  const { namespace = "default", uid } = pod.metadata;
  for (const claim of objects.list("PersistentVolumeClaim", namespace)) {
    if (!isOwned(claim, uid)) continue;
    await objects.delete({ kind: claim.kind, namespace, name: claim.metadata.name }, operation);
  }
}
