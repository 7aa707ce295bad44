/** Growing the volume of a claim that asks for more than it has. */
import type { Operation } from "../../core/operation.ts";
import { formatQuantity } from "../../core/quantity.ts";
import { faultPoint } from "../../host/faults.ts";
import { withoutConditions } from "./bind_claim.ts";
import { change, type ClaimRoom, tell, withStatus } from "./claim_room.ts";
import { provisionerNamed } from "./provision_claim.ts";
import { type Claim, PROVISIONED_BY, type Volume } from "./views.ts";

/** @returns whether all is done; not while the file system waits for a mount. */
export async function expandClaim(
  room: ClaimRoom,
  { claim, volume }: { readonly claim: Claim; readonly volume: Volume },
  operation: Operation,
): Promise<boolean> {
  const provisioner = provisionerNamed(room, volume.annotations[PROVISIONED_BY]);
  const { size_bytes, pending, obstacle } = await provisioner.expand!(volume.source, claim.requested_bytes, operation);
  faultPoint("claims.grown");
  const storage = formatQuantity(size_bytes);
  // The volume first: what was promised once stays promised.
  await change(room, volume.object, (object) => ({ ...object, spec: { ...object.spec, capacity: { storage } } }));
  if (pending) {
    if (claim.conditions.includes("FileSystemResizePending")) return false;
    const message = "the file system grows when a pod mounts the volume next" +
      (obstacle === undefined ? "" : `, not now: ${obstacle}`);
    await change(room, claim.object, (object) => {
      const condition = { type: "FileSystemResizePending", status: "True", message, lastTransitionTime: now() };
      const others = withoutConditions(object, "Resizing", "FileSystemResizePending") ?? [];
      return withStatus(object, { conditions: [...others, condition] });
    });
    tell(room, claim.object, "Normal", "FileSystemResizeRequired", `The volume has ${storage}: ${message}`);
    return false;
  }
  await change(room, claim.object, (object) =>
    withStatus(object, {
      capacity: { storage },
      conditions: withoutConditions(object, "Resizing", "FileSystemResizePending"),
    }));
  tell(room, claim.object, "Normal", "VolumeResizeSuccessful", `Resized volume ${volume.name} to ${storage}`);
  return true;
}

function now(): string {
  return new Date().toISOString();
}
