/** PersistentVolume: storage that exists, whoever uses it. */
import * as z from "zod";
import { Metadata } from "./metadata.ts";
import { AccessModes, DnsLabel, DnsSubdomain, MountOptions, StorageQuantity, VolumeMode } from "./primitives.ts";
import { HostPathSource, LocalSource, persistentNetworkSources, sourcesNotHere } from "./volume_sources.ts";

const sources = { hostPath: HostPathSource, local: LocalSource, ...persistentNetworkSources };

/** The names of the sources that a PersistentVolume can have. */
export const PERSISTENT_SOURCES = Object.keys(sources) as readonly (keyof typeof sources)[];

const requirement = z.strictObject({
  key: z.string().min(1).max(317),
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
  values: z.array(z.string()).optional(),
});

/** Which nodes a volume can be used on. */
export const NodeAffinity = z.strictObject({
  required: z.strictObject({
    nodeSelectorTerms: z.array(z.strictObject({
      matchExpressions: z.array(requirement).optional(),
      matchFields: z.array(requirement).optional(),
    })).min(1),
  }).optional(),
});
/** See the schema of the same name. */
export type NodeAffinity = z.infer<typeof NodeAffinity>;

/** `spec` of a PersistentVolume. */
export const PersistentVolumeSpec = z.strictObject({
  capacity: z.looseObject({ storage: StorageQuantity }),
  accessModes: AccessModes,
  claimRef: z.looseObject({
    kind: z.literal("PersistentVolumeClaim").optional(),
    namespace: DnsLabel.default("default"),
    name: DnsSubdomain,
    uid: z.string().optional(),
  }).optional(),
  persistentVolumeReclaimPolicy: z.enum(["Retain", "Delete"], 'must be Retain or Delete ("Recycle" is not supported)')
    .default("Retain"),
  storageClassName: z.union([z.literal(""), DnsSubdomain]).default(""),
  mountOptions: MountOptions.optional(),
  volumeMode: VolumeMode,
  nodeAffinity: NodeAffinity.optional(),
  volumeAttributesClassName: DnsSubdomain.optional(),
  hostPath: sources.hostPath.optional(),
  local: sources.local.optional(),
  nfs: sources.nfs.optional(),
  iscsi: sources.iscsi.optional(),
  rbd: sources.rbd.optional(),
  cephfs: sources.cephfs.optional(),
  glusterfs: sources.glusterfs.optional(),
  flexVolume: sources.flexVolume.optional(),
  csi: sources.csi.optional(),
  ...sourcesNotHere(PERSISTENT_SOURCES),
}).superRefine((spec, context) => {
  const given = PERSISTENT_SOURCES.filter((name) => spec[name] !== undefined);
  if (given.length !== 1) {
    context.addIssue({
      code: "custom",
      message: given.length === 0
        ? `must have a source: one of ${PERSISTENT_SOURCES.join(", ")}`
        : `must have exactly one source, not ${given.join(" and ")}`,
    });
  }
  if (spec.volumeMode === "Block" && spec.hostPath !== undefined) {
    context.addIssue({
      code: "custom",
      path: ["volumeMode"],
      message: "Block is not possible with hostPath: use local",
    });
  }
});
/** See the schema of the same name. */
export type PersistentVolumeSpec = z.infer<typeof PersistentVolumeSpec>;

/** See the head of the file. */
export const PersistentVolume = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("PersistentVolume"),
  metadata: Metadata,
  spec: PersistentVolumeSpec,
  status: z.looseObject({
    phase: z.enum(["Pending", "Available", "Bound", "Released", "Failed"]).optional(),
    message: z.string().optional(),
    reason: z.string().optional(),
  }).optional(),
}).meta({ id: "PersistentVolume" });
/** See the schema of the same name. */
export type PersistentVolume = z.infer<typeof PersistentVolume>;
