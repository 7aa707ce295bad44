/** What is to be done that claims, volumes and snapshots become what they should be: one action an object. Pure. */
import { formatQuantity } from "../../core/quantity.ts";
import { isReservedFor, match } from "./bind.ts";
import type { NodeView } from "./selectors.ts";
import { type Claim, CLAIM_PROTECTION, type ClaimUser, type Class, PROVISIONING, type Snapshot } from "./views.ts";
import { SNAPSHOT_PROTECTION, type Volume, VOLUME_PROTECTION } from "./views.ts";

/** Everything that is looked at. */
export interface World {
  readonly claims: readonly Claim[];
  readonly volumes: readonly Volume[];
  readonly classes: readonly Class[];
  readonly snapshots: readonly Snapshot[];
  /** By `namespace/name` of the claim. */
  readonly users: ReadonlyMap<string, readonly ClaimUser[]>;
  readonly node: NodeView;
  readonly provisioners: readonly string[];
}

/** What a volume is made from. */
export type Origin = { readonly snapshot: Snapshot } | { readonly volume: Volume };

/** One thing to do about one object. */
export type Action =
  /** Write the claim into the volume, the volume into the claim. */
  | { readonly kind: "bind"; readonly claim: Claim; readonly volume: Volume }
  /** Both name each other: say so in the claim's status. */
  | { readonly kind: "settle"; readonly claim: Claim; readonly volume: Volume }
  | { readonly kind: "lose"; readonly claim: Claim; readonly message: string }
  | {
    readonly kind: "wait";
    readonly claim: Claim;
    readonly type: "Normal" | "Warning";
    readonly reason: string;
    readonly message: string;
  }
  | { readonly kind: "provision"; readonly claim: Claim; readonly class: Class; readonly from?: Origin }
  /** The claim goes while something was, or may have been, made for it. */
  | { readonly kind: "discard"; readonly claim: Claim }
  | { readonly kind: "expand"; readonly claim: Claim; readonly volume: Volume; readonly class: Class }
  | { readonly kind: "refuse_expand"; readonly claim: Claim; readonly message: string }
  | { readonly kind: "release_claim"; readonly claim: Claim }
  | { readonly kind: "set_phase"; readonly volume: Volume; readonly phase: "Available" | "Bound" | "Released" }
  /** Its claim is gone and its policy is Delete. `twin`: another volume shows the same storage, so it stays. */
  | { readonly kind: "reclaim"; readonly volume: Volume; readonly provisioner?: string; readonly twin?: string }
  | { readonly kind: "release_volume"; readonly volume: Volume }
  | { readonly kind: "warn_volume"; readonly volume: Volume; readonly reason: string; readonly message: string }
  | { readonly kind: "take_snapshot"; readonly snapshot: Snapshot; readonly claim: Claim; readonly volume: Volume }
  | { readonly kind: "fail_snapshot"; readonly snapshot: Snapshot; readonly message: string }
  | { readonly kind: "delete_snapshot"; readonly snapshot: Snapshot };

/** @returns at most one action for each object; those of different objects can be done beside each other. */
export function plan(world: World): Action[] {
  const actions: Action[] = [];
  const index = indexOf(world);
  const given = new Set<string>();
  const free = world.volumes.filter(({ name, claim }) => claim === undefined && !index.duplicates.has(name));
  // Who came first is served first.
  for (const claim of [...world.claims].sort(byAge)) {
    const action = planClaim(claim, world, index, free);
    if (action === undefined) continue;
    if (action.kind === "bind") {
      given.add(action.volume.name);
      const at = free.indexOf(action.volume);
      if (at >= 0) free.splice(at, 1);
    }
    actions.push(action);
  }
  for (const volume of world.volumes) {
    if (given.has(volume.name)) continue;
    const action = planVolume(volume, index);
    if (action !== undefined) actions.push(action);
  }
  for (const snapshot of world.snapshots) {
    const action = planSnapshot(snapshot, world, index);
    if (action !== undefined) actions.push(action);
  }
  return actions;
}

/** Times are text of one form: their order is the texts'. */
function byAge(a: { readonly created: string }, b: { readonly created: string }): number {
  return a.created < b.created ? -1 : a.created > b.created ? 1 : 0;
}

interface Index {
  readonly claims: ReadonlyMap<string, Claim>;
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly classes: ReadonlyMap<string, Class>;
  readonly snapshots: ReadonlyMap<string, Snapshot>;
  /** By `namespace/name` of the claim that they name. */
  readonly reserved: ReadonlyMap<string, readonly Volume[]>;
  /** Volumes that show the storage of another one; name of that. */
  readonly twins: ReadonlyMap<string, string>;
  /** Those of them that are given to nobody, because the other one is older. */
  readonly duplicates: ReadonlyMap<string, string>;
  readonly provisioners: ReadonlySet<string>;
}

function indexOf({ claims, volumes, classes, snapshots, provisioners }: World): Index {
  const duplicates = new Map<string, string>(), twins = new Map<string, string>();
  const first = new Map<string, string>(), reserved = new Map<string, Volume[]>();
  for (const volume of volumes) {
    if (volume.claim === undefined) continue;
    const key = `${volume.claim.namespace}/${volume.claim.name}`;
    reserved.set(key, [...reserved.get(key) ?? [], volume]);
  }
  for (const volume of [...volumes].sort(byAge)) {
    const place = (volume.source.local as { path?: string } | undefined)?.path;
    if (place === undefined) continue;
    const other = first.get(place);
    if (other === undefined) {
      first.set(place, volume.name);
      continue;
    }
    twins.set(volume.name, other).set(other, volume.name);
    // One that is in use stays what it is.
    if (volume.claim === undefined) duplicates.set(volume.name, other);
  }
  return {
    claims: new Map(claims.map((one) => [one.key, one])),
    volumes: new Map(volumes.map((one) => [one.name, one])),
    classes: new Map(classes.map((one) => [one.name, one])),
    snapshots: new Map(snapshots.map((one) => [one.key, one])),
    reserved,
    twins,
    duplicates,
    provisioners: new Set(provisioners),
  };
}

function planClaim(claim: Claim, world: World, index: Index, free: readonly Volume[]): Action | undefined {
  const users = world.users.get(claim.key) ?? [];
  if (claim.deleting) return planDeletion(claim, users, world);
  const volume = claim.volume === undefined ? undefined : index.volumes.get(claim.volume);
  if (volume !== undefined && volume.claim?.uid === claim.uid) return planBound(claim, volume, world, index);
  if (claim.phase === "Bound" || claim.phase === "Lost") {
    if (claim.phase === "Lost") return undefined;
    const message = volume === undefined
      ? `its volume ${claim.volume} is gone, and the data with it`
      : `its volume ${claim.volume} is bound to another claim`;
    return { kind: "lose", claim, message };
  }
  const { classes, node, provisioners } = world;
  const hasConsumer = users.some(({ deleting }) => !deleting);
  const reserved = (index.reserved.get(claim.key) ?? []).filter((one) => isReservedFor(one, claim));
  const named = volume === undefined || free.includes(volume) || reserved.includes(volume) ? [] : [volume];
  // What was begun for it is finished: otherwise it would be forgotten.
  const volumes = claim.finalizers.includes(PROVISIONING) ? reserved : [...free, ...reserved, ...named];
  const claimed = world.volumes.length - volumes.length;
  const found = match(claim, { volumes, claimed, classes, node, provisioners, hasConsumer });
  if (found.kind === "bind") return { kind: "bind", claim, volume: found.volume };
  if (found.kind === "wait") {
    const { type, reason, message } = found;
    return { kind: "wait", claim, type, reason, message };
  }
  return planProvision(claim, found.class, index);
}

function planDeletion(
  claim: Claim,
  users: readonly ClaimUser[],
  world: World,
): Action | undefined {
  if (claim.finalizers.includes(PROVISIONING)) {
    return { kind: "discard", claim };
  }
  if (!claim.finalizers.includes(CLAIM_PROTECTION)) return undefined;
  if (users.length > 0) {
    const pods = users.slice(0, 3).map(({ pod }) => pod).join(", ") + (users.length > 3 ? ", …" : "");
    return waiting(claim, "Normal", "ClaimInUse", `the claim goes when it is not used any more: pod ${pods} uses it`);
  }
  // A snapshot or a copy of it is being made.
  const reader =
    world.snapshots.find((one) => one.namespace === claim.namespace && one.claim === claim.name && isBeingTaken(one)) ??
      world.claims.find((one) =>
        one.namespace === claim.namespace && one.from?.kind === "PersistentVolumeClaim" &&
        one.from.name === claim.name &&
        one.finalizers.includes(PROVISIONING)
      );
  if (reader !== undefined) {
    return waiting(claim, "Normal", "ClaimInUse", `the claim goes when ${reader.key}, which is made of it, is ready`);
  }
  return { kind: "release_claim", claim };
}

/** One that failed holds nothing: it may fail for ever. */
function isBeingTaken(snapshot: Snapshot): boolean {
  return !snapshot.ready && !snapshot.failed && snapshot.finalizers.includes(SNAPSHOT_PROTECTION);
}

function planBound(claim: Claim, volume: Volume, world: World, index: Index): Action | undefined {
  if (claim.phase !== "Bound" || claim.given_bytes === undefined || claim.finalizers.includes(PROVISIONING)) {
    return { kind: "settle", claim, volume };
  }
  if (claim.requested_bytes <= claim.given_bytes) {
    const isResizing = claim.conditions.some((type) => type === "Resizing" || type === "FileSystemResizePending");
    return isResizing ? { kind: "settle", claim, volume } : undefined;
  }
  // The device has grown: what is left is for the next mount.
  const isUsed = (world.users.get(claim.key) ?? []).length > 0;
  if (
    claim.conditions.includes("FileSystemResizePending") && volume.capacity_bytes >= claim.requested_bytes && !isUsed
  ) {
    return undefined;
  }
  const wanted = formatQuantity(claim.requested_bytes);
  const found = index.classes.get(volume.class);
  if (found === undefined || !found.expands) {
    const why = found === undefined
      ? `volume ${volume.name} has no class that allows it`
      : `class ${found.name} has no "allowVolumeExpansion: true"`;
    return { kind: "refuse_expand", claim, message: `Cannot expand to ${wanted}: ${why}` };
  }
  const provisioner = provisionerOf(volume);
  if (provisioner === undefined || !world.provisioners.includes(provisioner)) {
    const message = `Cannot expand to ${wanted}: volume ${volume.name} was not made by a provisioner of this node`;
    return { kind: "refuse_expand", claim, message };
  }
  return { kind: "expand", claim, volume, class: found };
}

function planProvision(claim: Claim, found: Class, index: Index): Action {
  if (claim.from === undefined) return { kind: "provision", claim, class: found };
  const key = `${claim.namespace}/${claim.from.name}`;
  const fail = (message: string) => waiting(claim, "Warning", "ProvisioningFailed", message);
  const small = (needed: number) =>
    `the claim asks for ${formatQuantity(claim.requested_bytes)}, but its source needs ${formatQuantity(needed)}`;
  if (claim.from.kind === "VolumeSnapshot") {
    const snapshot = index.snapshots.get(key);
    if (snapshot === undefined) return fail(`the VolumeSnapshot ${key} does not exist`);
    if (snapshot.deleting) return fail(`the VolumeSnapshot ${key} is being deleted`);
    if (!snapshot.ready || snapshot.handle === undefined) return fail(`the VolumeSnapshot ${key} is not ready`);
    if (snapshot.provisioner !== found.provisioner) {
      return fail(
        `the VolumeSnapshot ${key} is of ${snapshot.provisioner}, the class ${found.name} of ${found.provisioner}`,
      );
    }
    if (claim.requested_bytes < (snapshot.restore_bytes ?? 0)) return fail(small(snapshot.restore_bytes!));
    return { kind: "provision", claim, class: found, from: { snapshot } };
  }
  const source = index.claims.get(key);
  if (source === undefined) return fail(`the claim ${key}, which is to be copied, does not exist`);
  const volume = source.volume === undefined ? undefined : index.volumes.get(source.volume);
  if (source.phase !== "Bound" || volume === undefined) {
    return fail(`the claim ${key}, which is to be copied, is not bound`);
  }
  // Once it is being copied, its own deletion waits for that.
  if (source.deleting && !claim.finalizers.includes(PROVISIONING)) return fail(`the claim ${key} is being deleted`);
  if (provisionerOf(volume) !== found.provisioner) {
    return fail(`the claim ${key} is not of the provisioner ${found.provisioner} of class ${found.name}`);
  }
  if (source.volume_mode !== claim.volume_mode) return fail(`the claim ${key} has volumeMode ${source.volume_mode}`);
  if (claim.requested_bytes < volume.capacity_bytes) return fail(small(volume.capacity_bytes));
  return { kind: "provision", claim, class: found, from: { volume } };
}

function planVolume(volume: Volume, index: Index): Action | undefined {
  const { claim: reference } = volume;
  const claim = reference === undefined ? undefined : index.claims.get(`${reference.namespace}/${reference.name}`);
  const hasUid = reference?.uid !== undefined && reference.uid !== "";
  if (hasUid && claim?.uid === reference.uid) {
    return volume.phase === "Bound" ? undefined : { kind: "set_phase", volume, phase: "Bound" };
  }
  if (hasUid) {
    // Who claimed it is gone.
    if (volume.phase !== "Released" && volume.phase !== "Failed") {
      return { kind: "set_phase", volume, phase: "Released" };
    }
    const provisioner = provisionerOf(volume);
    const canReclaim = provisioner !== undefined && index.provisioners.has(provisioner);
    // What nobody here can delete is told once.
    if (volume.reclaim === "Delete" && (canReclaim || volume.phase === "Released")) {
      const twin = index.twins.get(volume.name);
      return {
        kind: "reclaim",
        volume,
        ...(canReclaim ? { provisioner } : {}),
        ...(twin === undefined ? {} : { twin }),
      };
    }
  }
  if (volume.deleting) {
    return volume.finalizers.includes(VOLUME_PROTECTION) ? { kind: "release_volume", volume } : undefined;
  }
  if (hasUid) return undefined;
  if (volume.phase !== "Available") return { kind: "set_phase", volume, phase: "Available" };
  const twin = index.duplicates.get(volume.name);
  if (twin === undefined) return undefined;
  const message = `volume ${twin} has the same path: this one is given to nobody. Delete one of them`;
  return { kind: "warn_volume", volume, reason: "DuplicateVolume", message };
}

function planSnapshot(snapshot: Snapshot, world: World, index: Index): Action | undefined {
  if (snapshot.deleting) {
    if (!snapshot.finalizers.includes(SNAPSHOT_PROTECTION)) return undefined;
    const reader = world.claims.some((claim) =>
      claim.namespace === snapshot.namespace && claim.from?.kind === "VolumeSnapshot" &&
      claim.from.name === snapshot.name && claim.finalizers.includes(PROVISIONING)
    );
    return reader ? undefined : { kind: "delete_snapshot", snapshot };
  }
  if (snapshot.ready) return undefined;
  const fail = (message: string): Action => ({ kind: "fail_snapshot", snapshot, message });
  if (snapshot.claim === undefined) {
    return fail("only snapshots of claims are made here (spec.source.persistentVolumeClaimName)");
  }
  const claim = index.claims.get(`${snapshot.namespace}/${snapshot.claim}`);
  if (claim === undefined) return fail(`the claim ${snapshot.namespace}/${snapshot.claim} does not exist`);
  const volume = claim.volume === undefined ? undefined : index.volumes.get(claim.volume);
  if (claim.phase !== "Bound" || volume === undefined) return fail(`the claim ${claim.key} is not bound`);
  const provisioner = provisionerOf(volume);
  if (provisioner === undefined || !world.provisioners.includes(provisioner)) {
    return fail(`volume ${volume.name} was not made by a provisioner of this node, so no snapshot of it can be made`);
  }
  return { kind: "take_snapshot", snapshot, claim, volume };
}

/** Who made a volume; absent: people. */
export function provisionerOf(volume: Volume): string | undefined {
  return volume.annotations["pv.kubernetes.io/provisioned-by"];
}

function waiting(claim: Claim, type: "Normal" | "Warning", reason: string, message: string): Action {
  return { kind: "wait", claim, type, reason, message };
}
