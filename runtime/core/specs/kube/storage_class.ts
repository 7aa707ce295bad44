/** StorageClass: how claims get PersistentVolumes. VolumeSnapshot: a claim's contents at one moment. */
import * as z from "zod";
import { Metadata } from "./metadata.ts";
import { DnsSubdomain, MountOptions, Quantity } from "./primitives.ts";

/** See the head of the file. */
export const StorageClass = z.looseObject({
  apiVersion: z.literal("storage.k8s.io/v1"),
  kind: z.literal("StorageClass"),
  metadata: Metadata,
  provisioner: z.string().min(1).max(253).describe("lamina.dev/local, …; kubernetes.io/no-provisioner: nobody"),
  parameters: z.record(z.string().min(1), z.string()).refine(
    (parameters) => Object.keys(parameters).length <= 512,
    "at most 512 parameters",
  ).optional(),
  reclaimPolicy: z.enum(["Delete", "Retain"]).default("Delete"),
  mountOptions: MountOptions.optional(),
  allowVolumeExpansion: z.boolean().optional(),
  volumeBindingMode: z.enum(["Immediate", "WaitForFirstConsumer"]).default("Immediate"),
  allowedTopologies: z.array(z.looseObject({
    matchLabelExpressions: z.array(z.strictObject({ key: z.string().min(1), values: z.array(z.string()).min(1) }))
      .optional(),
  })).optional(),
}).meta({ id: "StorageClass" });
/** See the schema of the same name. */
export type StorageClass = z.infer<typeof StorageClass>;

/** See the head of the file. */
export const VolumeSnapshot = z.looseObject({
  apiVersion: z.literal("snapshot.storage.k8s.io/v1"),
  kind: z.literal("VolumeSnapshot"),
  metadata: Metadata,
  spec: z.strictObject({
    volumeSnapshotClassName: z.string().max(253).optional(),
    source: z.strictObject({
      persistentVolumeClaimName: DnsSubdomain.optional(),
      volumeSnapshotContentName: DnsSubdomain.optional(),
    }).refine(
      (source) => Object.keys(source).length === 1,
      "must have either persistentVolumeClaimName or volumeSnapshotContentName",
    ),
  }),
  status: z.looseObject({
    readyToUse: z.boolean().optional(),
    restoreSize: Quantity.optional(),
    creationTime: z.string().optional(),
    boundVolumeSnapshotContentName: z.string().optional(),
    error: z.looseObject({ message: z.string().optional(), time: z.string().optional() }).optional(),
  }).optional(),
}).meta({ id: "VolumeSnapshot" });
/** See the schema of the same name. */
export type VolumeSnapshot = z.infer<typeof VolumeSnapshot>;
