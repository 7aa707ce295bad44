/** Which volume a claim gets, or what is to happen that it gets one, or why it cannot. Pure. */
import { formatQuantity } from "../../core/quantity.ts";
import { contradiction, fitsNode, type NodeView, selects } from "./selectors.ts";
import type { Claim, Class, Volume } from "./views.ts";

/** What is decided about a claim that is not bound. */
export type Match =
  | { readonly kind: "bind"; readonly volume: Volume }
  | { readonly kind: "provision"; readonly class: Class }
  /** Nothing to do until something changes. `type`: whether people should worry. */
  | { readonly kind: "wait"; readonly type: "Normal" | "Warning"; readonly reason: string; readonly message: string };

/** What the decision depends on besides the claim. */
export interface MatchWorld {
  /** Those that nobody has or was given in this round, those that are reserved for the claim, and the one that it names. */
  readonly volumes: readonly Volume[];
  /** How many there are besides, which others have; for the message. */
  readonly claimed?: number;
  readonly classes: readonly Class[];
  readonly node: NodeView;
  /** Names of the provisioners that there are. */
  readonly provisioners: readonly string[];
  /** A pod references the claim. */
  readonly hasConsumer: boolean;
}

/** Classes with this one make nothing: their volumes are made by people. */
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

/** The class of a claim that names none: the newest of those that are marked as default. */
export function defaultClass(classes: readonly Class[]): Class | undefined {
  return classes.filter((one) => one.is_default && !one.deleting)
    .sort((a, b) => b.created.localeCompare(a.created) || a.name.localeCompare(b.name))[0];
}

/** The name of the class that a claim has, with the default filled in; empty for none. */
export function classNameOf(claim: Claim, classes: readonly Class[]): string {
  return claim.class ?? defaultClass(classes)?.name ?? "";
}

/** Decides about one claim that is not bound to a volume. */
export function match(claim: Claim, world: MatchWorld): Match {
  if (claim.volume !== undefined) return matchNamed(claim, claim.volume, world);
  const impossible = contradiction(claim.selector);
  if (impossible !== undefined) {
    return waiting("FailedBinding", `the selector can never choose a volume: ${impossible}`);
  }
  const className = classNameOf(claim, world.classes);
  const reserved = world.volumes.find((volume) => isReservedFor(volume, claim));
  if (reserved !== undefined) {
    const misfit = misfitOf(claim, reserved, className, world.node, { reserved: true });
    if (misfit === undefined) return { kind: "bind", volume: reserved };
    return waiting("VolumeMismatch", `volume ${reserved.name} is reserved for this claim, but ${misfit}`);
  }
  const found = world.classes.find(({ name }) => name === className);
  if (found?.waits && !world.hasConsumer) {
    return {
      kind: "wait",
      type: "Normal",
      reason: "WaitForFirstConsumer",
      message: "waiting for first consumer to be created before binding",
    };
  }
  const best = smallestFit(claim, className, world);
  if (best !== undefined) return { kind: "bind", volume: best };
  return matchByClass(claim, className, found, world);
}

/** The claim asks for one volume by name. */
function matchNamed(claim: Claim, name: string, world: MatchWorld): Match {
  const volume = world.volumes.find((one) => one.name === name);
  if (volume === undefined) return waiting("FailedBinding", `volume ${name}, which the claim names, does not exist`);
  if (volume.claim !== undefined && !isReservedFor(volume, claim)) {
    const { namespace, name } = volume.claim;
    return waiting("FailedBinding", `volume ${volume.name} is already bound to claim ${namespace}/${name}`);
  }
  const misfit = misfitOf(claim, volume, classNameOf(claim, world.classes), world.node, { reserved: true });
  if (misfit === undefined) return { kind: "bind", volume };
  return waiting("VolumeMismatch", `volume ${name}, which the claim names, does not fit: ${misfit}`);
}

/** No volume fits: one is made where the class says so. */
function matchByClass(claim: Claim, className: string, found: Class | undefined, world: MatchWorld): Match {
  const why = whyNoneFits(claim, className, world);
  if (className === "") {
    const hint = claim.class === ""
      ? 'its storageClassName is "", so none is made'
      : "no storage class is set and there is no default class";
    return waiting("FailedBinding", `no persistent volumes available for this claim (${why}), and ${hint}`);
  }
  if (found === undefined) {
    const known = world.classes.map(({ name }) => name).sort().join(", ") || "none";
    return waiting(
      "ProvisioningFailed",
      `storageclass.storage.k8s.io "${className}" not found. There are: ${known}; ${why}`,
    );
  }
  if (found.provisioner === NO_PROVISIONER) {
    return waiting("FailedBinding", `class ${className} makes no volumes (${NO_PROVISIONER}), and ${why}`);
  }
  if (!world.provisioners.includes(found.provisioner)) {
    return waiting(
      "ProvisioningFailed",
      `class ${className} wants the provisioner "${found.provisioner}", which is not here. There are: ` +
        world.provisioners.join(", "),
    );
  }
  if (Object.keys(claim.selector?.matchLabels ?? {}).length + (claim.selector?.matchExpressions ?? []).length > 0) {
    return waiting(
      "ProvisioningFailed",
      `a claim with a selector gets no new volume: only volumes that exist have labels, and ${why}`,
    );
  }
  return { kind: "provision", class: found };
}

function smallestFit(claim: Claim, className: string, world: MatchWorld): Volume | undefined {
  let best: Volume | undefined;
  for (const volume of world.volumes) {
    // What was asked for a snapshot or a clone has contents.
    if (claim.from !== undefined) return undefined;
    if (best !== undefined && volume.capacity_bytes >= best.capacity_bytes) continue;
    if (misfitOf(claim, volume, className, world.node, { reserved: false }) === undefined) best = volume;
  }
  return best;
}

/** Whether the volume is this claim's, by its `claimRef`. One without a uid waits for whoever has the name. */
export function isReservedFor({ claim: reference }: Volume, claim: Claim): boolean {
  return reference !== undefined && reference.namespace === claim.namespace && reference.name === claim.name &&
    (reference.uid === undefined || reference.uid === "" || reference.uid === claim.uid);
}

/**
 * Why a volume does not fit a claim, in a clause; `undefined`: it does.
 *
 * @param options `reserved`: one of them names the other, so selector and phase have no say.
 */
export function misfitOf(
  claim: Claim,
  volume: Volume,
  className: string,
  node: NodeView,
  options: { readonly reserved: boolean },
): string | undefined {
  if (volume.deleting) return "it is being deleted";
  if (!options.reserved) {
    if (volume.claim !== undefined) return "it is claimed";
    if (volume.phase !== "Available") return `it is ${volume.phase ?? "not Available yet"}`;
  }
  if (volume.class !== className) {
    return `its class is ${JSON.stringify(volume.class)}, not ${JSON.stringify(className)}`;
  }
  if (volume.volume_mode !== claim.volume_mode) return `its volumeMode is ${volume.volume_mode}`;
  const missing = claim.access_modes.filter((mode) => !volume.access_modes.includes(mode));
  if (missing.length > 0) return `it does not allow ${missing.join(", ")}`;
  if (volume.capacity_bytes < claim.requested_bytes) {
    return `it has ${formatQuantity(volume.capacity_bytes)} of ${formatQuantity(claim.requested_bytes)}`;
  }
  if (!options.reserved && !selects(claim.selector, volume.labels)) return "the selector does not choose it";
  if (!fitsNode(volume.affinity, node)) return `it cannot be used on this node (${node.name})`;
  return undefined;
}

/** How many volumes are named one by one. */
const MAX_NAMED = 4;

function whyNoneFits(claim: Claim, className: string, { volumes, claimed = 0, node }: MatchWorld): string {
  // Those that others have are nothing to wonder about.
  const free = volumes.filter((volume) => volume.claim === undefined);
  const others = claimed + volumes.length - free.length;
  if (free.length === 0) {
    if (others === 0) return "there are no volumes";
    return others === 1 ? "the only volume is claimed" : `all ${others} volumes are claimed`;
  }
  const reasons = free.slice(0, MAX_NAMED).map((volume) =>
    `${volume.name}: ${
      misfitOf(claim, volume, className, node, { reserved: false }) ?? "it was given to another claim"
    }`
  );
  const more = free.length > MAX_NAMED ? `; ${free.length - MAX_NAMED} more` : "";
  return `no volume fits (${reasons.join("; ")}${more})`;
}

function waiting(reason: string, message: string): Match {
  return { kind: "wait", type: "Warning", reason, message };
}
