/** Whether a claim may grow. */
import { LaminaError } from "../core/errors.ts";
import type { KubeObject } from "../core/model/object.ts";
import { parseQuantity } from "../core/quantity.ts";
import type { PersistentVolumeClaim } from "../core/specs/kube/persistent_volume_claim.ts";
import type { ObjectStore } from "./port.ts";

/**
 * Refuses to let a claim grow whose class does not allow it.
 *
 * @throws `CONFLICT`
 */
export function refuseExpansion(before: KubeObject, after: KubeObject, objects: Pick<ObjectStore, "get">): void {
  if (after.kind !== "PersistentVolumeClaim") return;
  const wanted = after as unknown as PersistentVolumeClaim;
  if (requested(wanted) <= requested(before as unknown as PersistentVolumeClaim)) return;
  const { name } = after.metadata;
  const why = reason(wanted.spec.storageClassName ?? "", objects);
  if (why === undefined) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot change PersistentVolumeClaim "${name}": spec.resources.requests.storage: ${why}`,
    {
      details: { fields: ["spec.resources.requests.storage"] },
    },
  );
}

function reason(className: string, objects: Pick<ObjectStore, "get">): string | undefined {
  if (className === "") return "only volumes of a storage class can grow, and the claim has none";
  const found = objects.get({ kind: "StorageClass", namespace: "", name: className });
  if (found === undefined) return `its storage class "${className}" does not exist any more`;
  if (found.allowVolumeExpansion === true) return undefined;
  return `its storage class "${className}" has no allowVolumeExpansion: true`;
}

function requested({ spec }: PersistentVolumeClaim): number {
  return parseQuantity(spec.resources.requests.storage) ?? 0;
}
