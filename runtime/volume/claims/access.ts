/** What access modes mean on one node. Pure. */
import type { AccessMode } from "../../../drivers/volume/port.ts";
import type { ClaimUser } from "./views.ts";

/** Whether whoever uses a claim may only read: it was asked for nothing else, or what it is bound to allows no more. */
export function isReadOnlyClaim(claim: readonly AccessMode[], volume: readonly AccessMode[] = []): boolean {
  const onlyRead = (modes: readonly AccessMode[]) => modes.length > 0 && modes.every((mode) => mode === "ReadOnlyMany");
  return onlyRead(claim) || onlyRead(volume);
}

/**
 * Why a pod may not use a claim now: `ReadWriteOncePod` is for one pod at a time, and the one that came first has it.
 * `undefined`: it may. All other modes allow any number of pods of this node.
 *
 * @param users All pods that name the claim and have not ended, the pod itself among them.
 */
export function refusedUse(
  claim: { readonly key: string; readonly access_modes: readonly AccessMode[] },
  podUid: string,
  users: readonly ClaimUser[],
): string | undefined {
  if (!claim.access_modes.includes("ReadWriteOncePod")) return undefined;
  const first = [...users].sort(byAge)[0];
  if (first === undefined || first.uid === podUid) return undefined;
  return `claim ${claim.key} is ReadWriteOncePod and pod ${first.pod} uses it. Delete that pod first, or ask for ReadWriteOnce`;
}

function byAge(a: ClaimUser, b: ClaimUser): number {
  return a.created.localeCompare(b.created) || a.uid.localeCompare(b.uid);
}
