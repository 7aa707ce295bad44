/** From a pod to the volumes that it needs: claims become what they are bound to. Pure. */
import type { ObjectKey, VolumeSpec } from "../../drivers/volume/port.ts";
import type { KubeObject } from "../core/model/object.ts";
import { parseQuantity } from "../core/quantity.ts";
import {
  PERSISTENT_SOURCES,
  type PersistentVolume,
  type PersistentVolumeSpec,
} from "../core/specs/kube/persistent_volume.ts";
import type { PersistentVolumeClaim } from "../core/specs/kube/persistent_volume_claim.ts";
import { containersOf, type Pod } from "../core/specs/kube/pod.ts";
import { type PodVolume, sourceOf } from "../core/specs/kube/pod_volume.ts";
import { isReadOnlyClaim, refusedUse } from "../volume/claims/access.ts";
import { fitsNode, type NodeView } from "../volume/claims/selectors.ts";
import { claimUsers } from "../volume/claims/views.ts";
import type { WantedVolume } from "../volume/manager/port.ts";

/** What a pod needs, as far as it can be said now. */
export interface ResolvedVolumes {
  readonly volumes: readonly WantedVolume[];
  /** What cannot be had yet, by name of the volume, and why. */
  readonly unresolved: ReadonlyMap<string, string>;
  /** Names of the claims that it depends on, in its namespace. */
  readonly claims: readonly string[];
}

/** Where the resolution looks things up. */
export interface ResolveRoom {
  readonly node: NodeView;
  get(key: ObjectKey): KubeObject | undefined;
  list(kind: string): KubeObject[];
}

/** The pod of an object in the store, where all were checked. */
export function podOf(object: KubeObject): Pod & KubeObject {
  return object as unknown as Pod & KubeObject;
}

/** The claim behind a volume, if it has one. An ephemeral volume's is the pod's own. */
export function claimNameOf(podName: string, volume: PodVolume): string | undefined {
  return volume.persistentVolumeClaim?.claimName ??
    (volume.ephemeral === undefined ? undefined : `${podName}-${volume.name}`);
}

/** The volumes that some container uses; like the kubelet's, others are not mounted. */
export function resolveVolumes(pod: Pod & KubeObject, room: ResolveRoom): ResolvedVolumes {
  const uses = usesOf(pod);
  const volumes: WantedVolume[] = [];
  const unresolved = new Map<string, string>();
  const claims: string[] = [];
  const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
  for (const volume of pod.spec.volumes ?? []) {
    const use = uses.get(volume.name);
    if (use === undefined) continue;
    const claim = claimNameOf(pod.metadata.name, volume);
    if (claim !== undefined) claims.push(claim);
    const spec = claim === undefined
      ? inlineSpec(volume, pod.metadata.namespace ?? "default")
      : claimedSpec(pod, volume, { claim, use }, room);
    if (typeof spec === "string") unresolved.set(volume.name, spec);
    else volumes.push({ spec, fsGroup, fsGroupChangePolicy });
  }
  return { volumes, unresolved, claims };
}

type Use = "Filesystem" | "Block";

function usesOf(pod: Pod): Map<string, Use> {
  const uses = new Map<string, Use>();
  for (const { volumeMounts = [], volumeDevices = [] } of containersOf(pod.spec)) {
    for (const { name } of volumeMounts) uses.set(name, "Filesystem");
    for (const { name } of volumeDevices) uses.set(name, "Block");
  }
  return uses;
}

function inlineSpec(volume: PodVolume, namespace: string): VolumeSpec {
  const { kind, value } = sourceOf(volume);
  return {
    name: volume.name,
    source: { [kind]: withNamespace(value, namespace) },
    read_only: (value as { readOnly?: boolean }).readOnly ?? false,
    mount_options: [],
    access_modes: ["ReadWriteOnce"],
    volume_mode: "Filesystem",
  };
}

/** The spec, or why there is none yet. */
function claimedSpec(
  pod: Pod & KubeObject,
  volume: PodVolume,
  { claim: name, use }: { claim: string; use: Use },
  room: ResolveRoom,
): VolumeSpec | string {
  const { namespace = "default", uid, creationTimestamp } = pod.metadata;
  const title = `PersistentVolumeClaim "${name}"`;
  const object = room.get({ kind: "PersistentVolumeClaim", namespace, name });
  if (object === undefined) return `${title} does not exist`;
  const claim = object as unknown as PersistentVolumeClaim & KubeObject;
  const { deletionTimestamp } = claim.metadata;
  // A pod that was there before keeps what it has.
  if (deletionTimestamp !== undefined && deletionTimestamp <= creationTimestamp) return `${title} is being deleted`;
  if (volume.ephemeral !== undefined && !isOwned(object, uid)) {
    return `${title} exists and was not made for this pod. Delete or rename it`;
  }
  const users = claim.spec.accessModes.includes("ReadWriteOncePod") ? claimUsers(room.list("Pod")) : undefined;
  const key = `${namespace}/${name}`;
  const refused = refusedUse({ key, access_modes: claim.spec.accessModes }, uid, users?.get(key) ?? []);
  if (refused !== undefined) return refused;
  const phase = claim.status?.phase ?? "Pending";
  if (phase !== "Bound" || claim.spec.volumeName === undefined) {
    return `${title} is not bound to a PersistentVolume (${phase}); lamina describe pvc ${name} tells why`;
  }
  const found = room.get({ kind: "PersistentVolume", namespace: "", name: claim.spec.volumeName });
  if (found === undefined) return `PersistentVolume "${claim.spec.volumeName}" of ${title} does not exist`;
  const persistent = found as unknown as PersistentVolume & KubeObject;
  const problem = unusable(persistent, claim, use, room.node);
  if (problem !== undefined) return problem;
  return persistentSpec(volume, persistent, claim, namespace);
}

function unusable(
  { metadata, spec }: PersistentVolume & KubeObject,
  claim: KubeObject,
  use: Use,
  node: NodeView,
): string | undefined {
  const title = `PersistentVolume "${metadata.name}"`;
  if (spec.claimRef?.uid !== claim.metadata.uid) return `${title} is bound to another claim`;
  if (spec.volumeMode !== use) {
    const right = use === "Block" ? "volumeMounts" : "volumeDevices";
    return `${title} has volumeMode ${spec.volumeMode}: use it in ${right}`;
  }
  if (!fitsNode(spec.nodeAffinity, node)) return `${title} cannot be used on node "${node.name}": see its nodeAffinity`;
  return undefined;
}

function persistentSpec(
  volume: PodVolume,
  { metadata, spec }: PersistentVolume & KubeObject,
  claim: PersistentVolumeClaim,
  namespace: string,
): VolumeSpec {
  const kind = PERSISTENT_SOURCES.find((name) => spec[name] !== undefined)!;
  const value = spec[kind] as NonNullable<PersistentVolumeSpec[typeof kind]>;
  return {
    name: volume.name,
    source: { [kind]: withNamespace(value, namespace) },
    read_only: (volume.persistentVolumeClaim?.readOnly ?? false) || ("readOnly" in value && value.readOnly) ||
      isReadOnlyClaim(claim.spec.accessModes, spec.accessModes),
    mount_options: spec.mountOptions ?? [],
    access_modes: claim.spec.accessModes,
    volume_mode: spec.volumeMode,
    persistent_volume: {
      name: metadata.name,
      uid: metadata.uid,
      capacity_bytes: parseQuantity(spec.capacity.storage) ?? 0,
    },
  };
}

/** The source, with the namespace of its Secret: the plugin knows no pod. */
function withNamespace(value: object, namespace: string): object {
  const { secretRef } = value as { secretRef?: { name: string; namespace?: string } };
  return secretRef === undefined ? value : { ...value, secretRef: { namespace, ...secretRef } };
}

/** Whether an object was made for the pod of that uid. */
export function isOwned(object: KubeObject, uid: string): boolean {
  return (object.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid);
}
