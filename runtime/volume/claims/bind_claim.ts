/**
 * Binding: first the volume names the claim, then the claim the volume. After a crash in between the volume is reserved
 * for the claim, which finds it again.
 */
import { formatQuantity } from "../../core/quantity.ts";
import { faultPoint } from "../../host/faults.ts";
import type { KubeObject } from "../../objects/port.ts";
import { change, type ClaimRoom, withAnnotations, withFinalizer, withoutFinalizer, withStatus } from "./claim_room.ts";
import { tell } from "./claim_room.ts";
import { BIND_COMPLETED, type Claim, PROVISIONING, type Volume, VOLUME_PROTECTION, volumeOf } from "./views.ts";
import { isReservedFor } from "./bind.ts";

/** Binds both sides. Somebody else was faster: nothing happens. */
export async function bindClaim(room: ClaimRoom, claim: Claim, volume: Volume): Promise<void> {
  const claimRef = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    namespace: claim.namespace,
    name: claim.name,
    uid: claim.uid,
  };
  const bound = await change(room, volume.object, (object) => {
    const now = volumeOf(object);
    if (now.deleting || now.claim !== undefined && !isReservedFor(now, claim)) return object;
    const spec = { ...object.spec, claimRef };
    return withStatus(withFinalizer({ ...object, spec }, VOLUME_PROTECTION), { phase: "Bound", message: undefined });
  });
  if (bound === undefined || volumeOf(bound).claim?.uid !== claim.uid) return;
  faultPoint("claims.volume_claimed");
  await settleClaim(room, claim, volume);
  faultPoint("claims.bound");
}

/** Says in a claim that it is bound to a volume which names it. */
export async function settleClaim(room: ClaimRoom, claim: Claim, volume: Volume): Promise<void> {
  await change(room, claim.object, (object) => {
    const spec = {
      ...object.spec,
      volumeName: volume.name,
      // The default class may be another one tomorrow.
      storageClassName: claim.class ?? volume.class,
    };
    const given = (object.status as ClaimStatus | undefined)?.capacity?.storage;
    const bound = withStatus({ ...object, spec }, {
      phase: "Bound",
      accessModes: volume.access_modes,
      capacity: { storage: claim.phase === "Bound" && given || formatQuantity(volume.capacity_bytes) },
      conditions: withoutConditions(object, "Resizing", "FileSystemResizePending"),
    });
    return withAnnotations(withoutFinalizer(bound, PROVISIONING), { [BIND_COMPLETED]: "yes" });
  });
}

/** A claim whose volume is not its own any more. */
export async function loseClaim(room: ClaimRoom, claim: Claim, message: string): Promise<void> {
  const lost = await change(room, claim.object, (object) => withStatus(object, { phase: "Lost" }));
  if (lost !== undefined) tell(room, lost, "Warning", "ClaimLost", `Bound claim has lost its volume: ${message}`);
}

/** A condition of a claim's status. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

interface ClaimStatus {
  readonly capacity?: { readonly storage?: string };
  readonly conditions?: readonly Condition[];
}

/** The conditions of an object without some; `undefined` when none is left. */
export function withoutConditions(object: KubeObject, ...types: string[]): readonly Condition[] | undefined {
  const left = ((object.status as ClaimStatus | undefined)?.conditions ?? []).filter(({ type }) =>
    !types.includes(type)
  );
  return left.length === 0 ? undefined : left;
}
