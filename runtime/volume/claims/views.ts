/** The objects that the binder looks at, in the form in which it looks at them. Pure. */
import { parseQuantity } from "../../core/quantity.ts";
import type { NodeAffinity, PersistentVolumeSpec } from "../../core/specs/kube/persistent_volume.ts";
import { PERSISTENT_SOURCES } from "../../core/specs/kube/persistent_volume.ts";
import type { ClaimSpec } from "../../core/specs/kube/persistent_volume_claim.ts";
import type { LabelSelector } from "../../core/specs/kube/primitives.ts";
import type { StorageClass as StorageClassObject } from "../../core/specs/kube/storage_class.ts";
import type { AccessMode } from "../../../drivers/volume/port.ts";
import type { KubeObject } from "../../objects/port.ts";

/** Keeps a claim while pods use it. */
export const CLAIM_PROTECTION = "kubernetes.io/pvc-protection";
/** Keeps a volume while it is bound. */
export const VOLUME_PROTECTION = "kubernetes.io/pv-protection";
/** Keeps a claim while a provisioner works for it, so that what it makes is never forgotten. */
export const PROVISIONING = "lamina.dev/provisioning";
/** Keeps a snapshot object until what it stands for is deleted. */
export const SNAPSHOT_PROTECTION = "lamina.dev/snapshot-protection";
/** On a volume: which provisioner made it. */
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
/** On a claim: which provisioner is asked, with which class. */
export const ASKED_PROVISIONER = "volume.kubernetes.io/storage-provisioner";
/** On a claim: both sides of the binding were written once. */
export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
const OLD_CLASS = "volume.beta.kubernetes.io/storage-class";

interface Base {
  readonly object: KubeObject;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  readonly deleting: boolean;
  /** ISO 8601. */
  readonly created: string;
}

/** A PersistentVolumeClaim. */
export interface Claim extends Base {
  readonly namespace: string;
  /** `namespace/name` */
  readonly key: string;
  readonly requested_bytes: number;
  readonly access_modes: readonly AccessMode[];
  readonly volume_mode: "Filesystem" | "Block";
  /** Absent: the default class. Empty: none. */
  readonly class?: string;
  readonly selector?: LabelSelector;
  /** `spec.volumeName` */
  readonly volume?: string;
  readonly phase?: string;
  /** `status.capacity.storage` */
  readonly given_bytes?: number;
  /** Types of `status.conditions` that are `True`. */
  readonly conditions: readonly string[];
  readonly from?: { readonly kind: "PersistentVolumeClaim" | "VolumeSnapshot"; readonly name: string };
}

/** A PersistentVolume. */
export interface Volume extends Base {
  readonly capacity_bytes: number;
  readonly access_modes: readonly AccessMode[];
  readonly volume_mode: "Filesystem" | "Block";
  readonly class: string;
  readonly claim?: { readonly namespace: string; readonly name: string; readonly uid?: string };
  readonly reclaim: "Retain" | "Delete";
  readonly affinity?: NodeAffinity;
  readonly phase?: string;
  /** Exactly one key. */
  readonly source: Readonly<Record<string, unknown>>;
}

/** A StorageClass. */
export interface Class extends Base {
  readonly provisioner: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly reclaim: "Retain" | "Delete";
  readonly waits: boolean;
  readonly expands: boolean;
  readonly mount_options: readonly string[];
  readonly is_default: boolean;
}

/** A VolumeSnapshot. */
export interface Snapshot extends Base {
  readonly namespace: string;
  readonly key: string;
  /** Name of the claim that it is of. */
  readonly claim?: string;
  readonly ready: boolean;
  /** The last try to take it did. */
  readonly failed: boolean;
  readonly restore_bytes?: number;
  readonly provisioner?: string;
  readonly handle?: string;
}

/** One use of a claim. */
export interface ClaimUser {
  /** `namespace/name` of the pod. */
  readonly pod: string;
  readonly uid: string;
  readonly created: string;
  /** It is going away and needs no new volumes. */
  readonly deleting: boolean;
}

/** Reads a claim. */
export function claimOf(object: KubeObject): Claim {
  const spec = object.spec as unknown as ClaimSpec;
  const base = baseOf(object), namespace = object.metadata.namespace ?? "default";
  const status = object.status as {
    phase?: string;
    capacity?: { storage?: string };
    conditions?: { type: string; status: string }[];
  } | undefined;
  return {
    ...base,
    namespace,
    key: `${namespace}/${base.name}`,
    requested_bytes: parseQuantity(spec.resources.requests.storage) ?? 0,
    access_modes: spec.accessModes,
    volume_mode: spec.volumeMode ?? "Filesystem",
    class: spec.storageClassName ?? base.annotations[OLD_CLASS],
    selector: spec.selector,
    volume: spec.volumeName || undefined,
    phase: status?.phase,
    given_bytes: quantityOf(status?.capacity?.storage),
    conditions: (status?.conditions ?? []).filter((one) => one.status === "True").map(({ type }) => type),
    from: spec.dataSourceRef ?? spec.dataSource,
  };
}

/** Reads a volume. */
export function volumeOf(object: KubeObject): Volume {
  const spec = object.spec as unknown as PersistentVolumeSpec;
  const key = PERSISTENT_SOURCES.find((name) => spec[name] !== undefined);
  return {
    ...baseOf(object),
    capacity_bytes: parseQuantity(spec.capacity.storage) ?? 0,
    access_modes: spec.accessModes,
    volume_mode: spec.volumeMode ?? "Filesystem",
    class: spec.storageClassName ?? "",
    claim: spec.claimRef && { ...spec.claimRef, namespace: spec.claimRef.namespace ?? "default" },
    reclaim: spec.persistentVolumeReclaimPolicy ?? "Retain",
    affinity: spec.nodeAffinity,
    phase: (object.status as { phase?: string } | undefined)?.phase,
    source: key === undefined ? {} : { [key]: spec[key] },
  };
}

/** Reads a class. */
export function classOf(object: KubeObject): Class {
  const given = object as unknown as StorageClassObject;
  const base = baseOf(object);
  return {
    ...base,
    provisioner: given.provisioner,
    parameters: given.parameters ?? {},
    reclaim: given.reclaimPolicy ?? "Delete",
    waits: given.volumeBindingMode === "WaitForFirstConsumer",
    expands: given.allowVolumeExpansion ?? false,
    mount_options: given.mountOptions ?? [],
    is_default: base.annotations[DEFAULT_CLASS] === "true",
  };
}

/** Reads a snapshot. */
export function snapshotOf(object: KubeObject): Snapshot {
  const base = baseOf(object), namespace = object.metadata.namespace ?? "default";
  const spec = object.spec as { source: { persistentVolumeClaimName?: string } };
  const status = object.status as
    | { readyToUse?: boolean; restoreSize?: string; handle?: string; provisioner?: string; error?: unknown }
    | undefined;
  return {
    ...base,
    namespace,
    key: `${namespace}/${base.name}`,
    claim: spec.source.persistentVolumeClaimName,
    ready: status?.readyToUse ?? false,
    failed: status?.error !== undefined,
    restore_bytes: quantityOf(status?.restoreSize),
    handle: status?.handle,
    provisioner: status?.provisioner,
  };
}

/** Who uses which claim, by `namespace/name` of the claim. Pods that have ended use nothing. */
export function claimUsers(pods: Iterable<KubeObject>): Map<string, ClaimUser[]> {
  const users = new Map<string, ClaimUser[]>();
  for (const pod of pods) {
    const phase = (pod.status as { phase?: string } | undefined)?.phase;
    if (phase === "Succeeded" || phase === "Failed") continue;
    const { name, namespace = "default", uid, creationTimestamp: created, deletionTimestamp } = pod.metadata;
    for (const volume of (pod.spec as { volumes?: PodVolume[] } | undefined)?.volumes ?? []) {
      const claim = volume.persistentVolumeClaim?.claimName ??
        (volume.ephemeral === undefined ? undefined : `${name}-${volume.name}`);
      if (claim === undefined) continue;
      const key = `${namespace}/${claim}`;
      const all = users.get(key) ?? [];
      // Twice in one pod is one use.
      if (!all.some((user) => user.uid === uid)) {
        all.push({ pod: `${namespace}/${name}`, uid, created, deleting: deletionTimestamp !== undefined });
      }
      users.set(key, all);
    }
  }
  return users;
}

interface PodVolume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly ephemeral?: unknown;
}

function baseOf(object: KubeObject): Base {
  const { name, uid, labels = {}, annotations = {}, finalizers = [], deletionTimestamp, creationTimestamp } =
    object.metadata;
  return {
    object,
    name,
    uid,
    labels,
    annotations,
    finalizers,
    deleting: deletionTimestamp !== undefined,
    created: creationTimestamp,
  };
}

function quantityOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseQuantity(text);
}
