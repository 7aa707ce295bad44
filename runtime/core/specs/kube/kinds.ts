/** The kinds of objects that can be applied: THE table of them. */
import type * as z from "zod";
import { ConfigMap, Secret } from "./config_map.ts";
import { PersistentVolume } from "./persistent_volume.ts";
import { PersistentVolumeClaim } from "./persistent_volume_claim.ts";
import { Pod } from "./pod.ts";
import { StorageClass, VolumeSnapshot } from "./storage_class.ts";

/** A row of the table. */
export interface KubeKind {
  /** As in `kind:`. */
  readonly kind: string;
  /** As in paths and on the command line. */
  readonly plural: string;
  /** What people type instead, besides the kind in small letters. */
  readonly short: readonly string[];
  readonly apiVersion: string;
  /** Whether its objects live in namespaces. */
  readonly namespaced: boolean;
  readonly schema: z.ZodType;
}

const core = "v1";

/** See the head of the file. In the order in which they are applied: what others need comes first. */
export const KUBE_KINDS = [
  {
    kind: "StorageClass",
    plural: "storageclasses",
    short: ["sc"],
    apiVersion: "storage.k8s.io/v1",
    namespaced: false,
    schema: StorageClass,
  },
  {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    short: ["pv"],
    apiVersion: core,
    namespaced: false,
    schema: PersistentVolume,
  },
  { kind: "ConfigMap", plural: "configmaps", short: ["cm"], apiVersion: core, namespaced: true, schema: ConfigMap },
  { kind: "Secret", plural: "secrets", short: [], apiVersion: core, namespaced: true, schema: Secret },
  {
    kind: "VolumeSnapshot",
    plural: "volumesnapshots",
    short: ["vs"],
    apiVersion: "snapshot.storage.k8s.io/v1",
    namespaced: true,
    schema: VolumeSnapshot,
  },
  {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    short: ["pvc"],
    apiVersion: core,
    namespaced: true,
    schema: PersistentVolumeClaim,
  },
  { kind: "Pod", plural: "pods", short: ["po"], apiVersion: core, namespaced: true, schema: Pod },
] as const satisfies readonly KubeKind[];

/** The row of a kind (`Pod`). */
export function kubeKind(kind: string): KubeKind | undefined {
  return KUBE_KINDS.find((row) => row.kind === kind);
}

/** The row that somebody means who types `pods`, `pod`, `po` or `Pod`. */
export function kubeKindNamed(text: string): KubeKind | undefined {
  const name = text.toLowerCase();
  return KUBE_KINDS.find((row: KubeKind) =>
    row.plural === name || row.kind.toLowerCase() === name || row.short.includes(name)
  );
}
