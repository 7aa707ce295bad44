/** PersistentVolumeClaim: storage that somebody asks for. */
import * as z from "zod";
import { Metadata } from "./metadata.ts";
import { AccessModes, Annotations, DnsLabel, DnsSubdomain, KubeLabels, LabelSelector, Quantity } from "./primitives.ts";
import { StorageQuantity, VolumeMode } from "./primitives.ts";

const dataSource = z.strictObject({
  apiGroup: z.string().max(253).optional(),
  kind: z.enum(["PersistentVolumeClaim", "VolumeSnapshot"]),
  name: DnsSubdomain,
});

/** `spec` of a claim, also inside of an ephemeral volume's template. */
export const ClaimSpec = z.strictObject({
  accessModes: AccessModes,
  selector: LabelSelector.optional(),
  resources: z.strictObject({
    requests: z.looseObject({ storage: StorageQuantity }),
    limits: z.looseObject({ storage: StorageQuantity.optional() }).optional(),
  }),
  volumeName: DnsSubdomain.optional(),
  storageClassName: z.union([z.literal(""), DnsSubdomain]).optional().describe(
    "Absent: the default class. Empty: only PersistentVolumes without a class",
  ),
  volumeMode: VolumeMode,
  dataSource: dataSource.optional(),
  dataSourceRef: dataSource.extend({ namespace: DnsLabel.optional() }).optional(),
  volumeAttributesClassName: DnsSubdomain.optional(),
});
/** See the schema of the same name. */
export type ClaimSpec = z.infer<typeof ClaimSpec>;

/** What the binder says of a claim. */
export const ClaimStatus = z.looseObject({
  phase: z.enum(["Pending", "Bound", "Lost"]).optional(),
  accessModes: z.array(z.string()).optional(),
  capacity: z.looseObject({ storage: Quantity.optional() }).optional(),
});

/** See the head of the file. */
export const PersistentVolumeClaim = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("PersistentVolumeClaim"),
  metadata: Metadata,
  spec: ClaimSpec,
  status: ClaimStatus.optional(),
}).meta({ id: "PersistentVolumeClaim" });
/** See the schema of the same name. */
export type PersistentVolumeClaim = z.infer<typeof PersistentVolumeClaim>;

/** `ephemeral` of a pod's volume: a claim that lives and dies with the pod. */
export const EphemeralSource = z.strictObject({
  volumeClaimTemplate: z.strictObject({
    metadata: z.looseObject({ labels: KubeLabels.optional(), annotations: Annotations.optional() }).optional(),
    spec: ClaimSpec,
  }),
});
/** See the schema of the same name. */
export type EphemeralSource = z.infer<typeof EphemeralSource>;
