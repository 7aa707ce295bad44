/** Performs the actions of the plan. */
import type { Operation } from "../../core/operation.ts";
import { bindClaim, loseClaim, settleClaim } from "./bind_claim.ts";
import { change, type ClaimRoom, withoutFinalizer, withStatus } from "./claim_room.ts";
import { expandClaim } from "./expand_claim.ts";
import type { Action } from "./plan.ts";
import { discardClaim, provisionClaim, reclaimVolume } from "./provision_claim.ts";
import { deleteSnapshot, noteSnapshotError, takeSnapshot } from "./snapshot_claim.ts";
import { CLAIM_PROTECTION, claimUsers, VOLUME_PROTECTION } from "./views.ts";
import type { KubeObject } from "../../objects/port.ts";

/** What the controller tells people about a failure of an action: the reason of its event. */
const FAILURE_REASONS: Readonly<Partial<Record<Action["kind"], string>>> = {
  bind: "FailedBinding",
  provision: "ProvisioningFailed",
  discard: "ProvisioningCleanupFailed",
  expand: "VolumeResizeFailed",
  reclaim: "VolumeFailedDelete",
  take_snapshot: "SnapshotCreationFailed",
  delete_snapshot: "SnapshotDeletionFailed",
};

/** The object that an action is about: it has one at a time. */
export function objectOf(action: Action): KubeObject {
  if ("claim" in action && action.kind !== "take_snapshot") return action.claim.object;
  if ("snapshot" in action) return action.snapshot.object;
  return action.volume.object;
}

/** Reason of the event for a failed action. */
export function failureReason(action: Action): string {
  return FAILURE_REASONS[action.kind] ?? "FailedUpdate";
}

/** What people are told by the plan itself; each message once. */
export function notice(action: Action): { type: "Normal" | "Warning"; reason: string; message: string } | undefined {
  if (action.kind === "wait") return action;
  if (action.kind === "warn_volume") return { ...action, type: "Warning" };
  if (action.kind === "refuse_expand") {
    return { type: "Warning", reason: "VolumeResizeFailed", message: action.message };
  }
  if (action.kind === "fail_snapshot") {
    return { type: "Warning", reason: "SnapshotCreationFailed", message: action.message };
  }
  return undefined;
}

/**
 * Does it.
 *
 * @returns false: it is not done yet and wants another try later.
 */
export async function perform(room: ClaimRoom, action: Action, operation: Operation): Promise<boolean> {
  switch (action.kind) {
    case "bind":
      await bindClaim(room, action.claim, action.volume);
      return true;
    case "settle":
      await settleClaim(room, action.claim, action.volume);
      return true;
    case "lose":
      await loseClaim(room, action.claim, action.message);
      return true;
    case "wait":
      if (action.claim.phase === undefined) {
        await change(room, action.claim.object, (object) => withStatus(object, { phase: "Pending" }));
      }
      return true;
    case "provision":
      await provisionClaim(room, action, operation);
      return true;
    case "discard":
      await discardClaim(room, action.claim, operation);
      return true;
    case "expand":
      return await expandClaim(room, action, operation);
    case "release_claim":
      await change(room, action.claim.object, (object) => {
        // A pod may have come since the plan was made.
        const isUsed = claimUsers(room.objects.list("Pod", action.claim.namespace)).has(action.claim.key);
        return isUsed ? object : withoutFinalizer(object, CLAIM_PROTECTION);
      });
      return true;
    case "set_phase":
      await change(
        room,
        action.volume.object,
        (object) => withStatus(object, { phase: action.phase, message: undefined }),
      );
      return true;
    case "reclaim":
      await reclaimVolume(room, action, operation);
      return true;
    case "release_volume":
      await change(room, action.volume.object, (object) => withoutFinalizer(object, VOLUME_PROTECTION));
      return true;
    case "take_snapshot":
      await takeSnapshot(room, action, operation);
      return true;
    case "fail_snapshot":
      await noteSnapshotError(room, action.snapshot, action.message);
      return true;
    case "delete_snapshot":
      await deleteSnapshot(room, action.snapshot, operation);
      return true;
    case "refuse_expand":
    case "warn_volume":
      return true;
  }
}
