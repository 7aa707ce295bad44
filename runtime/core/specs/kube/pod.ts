/** Pod: what it says about storage is checked, the rest is kept as it is. */
import * as z from "zod";
import { Metadata } from "./metadata.ts";
import { checkMounts } from "./pod_mounts.ts";
import { PodVolume } from "./pod_volume.ts";
import { DataKey, DnsLabel, DnsSubdomain, MountPath, Quantity, SubPath } from "./primitives.ts";

/** Where a volume appears in a container. */
export const VolumeMount = z.strictObject({
  name: z.string().min(1),
  mountPath: MountPath,
  readOnly: z.boolean().optional(),
  recursiveReadOnly: z.enum(["Disabled", "IfPossible", "Enabled"]).optional().describe("Default: Disabled"),
  subPath: SubPath.optional(),
  subPathExpr: SubPath.optional(),
  mountPropagation: z.enum(["None", "HostToContainer", "Bidirectional"]).optional().describe("Default: None"),
}).superRefine((mount, context) => {
  const issue = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
  if (mount.subPath && mount.subPathExpr) issue("subPathExpr", "goes not with subPath");
  if ((mount.recursiveReadOnly ?? "Disabled") === "Disabled") return;
  if (!mount.readOnly) issue("recursiveReadOnly", "needs readOnly: true");
  if ((mount.mountPropagation ?? "None") !== "None") issue("recursiveReadOnly", "needs mountPropagation: None");
});
/** See the schema of the same name. */
export type VolumeMount = z.infer<typeof VolumeMount>;

/** A raw block device in a container. */
export const VolumeDevice = z.strictObject({ name: z.string().min(1), devicePath: MountPath });
/** See the schema of the same name. */
export type VolumeDevice = z.infer<typeof VolumeDevice>;

const keyRef = z.looseObject({ name: DnsSubdomain, key: DataKey, optional: z.boolean().optional() });

/** A variable of a container; `subPathExpr` may name it. */
export const EnvVar = z.looseObject({
  name: z.string().min(1).regex(/^[^=\0]+$/, 'must not contain "="'),
  value: z.string().optional(),
  valueFrom: z.looseObject({
    fieldRef: z.looseObject({ fieldPath: z.string().min(1) }).optional(),
    resourceFieldRef: z.looseObject({ resource: z.string().min(1) }).optional(),
    configMapKeyRef: keyRef.optional(),
    secretKeyRef: keyRef.optional(),
  }).optional(),
}).refine(({ value, valueFrom }) => !value || valueFrom === undefined, {
  path: ["valueFrom"],
  message: "goes not with value",
});
/** See the schema of the same name. */
export type EnvVar = z.infer<typeof EnvVar>;

const quantities = z.record(z.string(), Quantity).optional();
const fsGroup = z.int().min(0).max(2 ** 32 - 2);

/** A container of a pod. */
export const PodContainer = z.looseObject({
  name: DnsLabel,
  image: z.string().max(512).optional(),
  env: z.array(EnvVar).optional(),
  envFrom: z.array(z.looseObject({
    prefix: z.string().optional(),
    configMapRef: z.looseObject({ name: DnsSubdomain, optional: z.boolean().optional() }).optional(),
    secretRef: z.looseObject({ name: DnsSubdomain, optional: z.boolean().optional() }).optional(),
  })).optional(),
  resources: z.looseObject({ limits: quantities, requests: quantities }).optional(),
  securityContext: z.looseObject({
    privileged: z.boolean().optional(),
    readOnlyRootFilesystem: z.boolean().optional(),
  }).optional(),
  volumeMounts: z.array(VolumeMount).max(1000).optional(),
  volumeDevices: z.array(VolumeDevice).max(1000).optional(),
});
/** See the schema of the same name. */
export type PodContainer = z.infer<typeof PodContainer>;

/** `spec` of a pod. */
export const PodSpec = z.looseObject({
  volumes: z.array(PodVolume).max(1000).optional(),
  containers: z.array(PodContainer).min(1, "must have at least one container").max(256),
  initContainers: z.array(PodContainer).max(256).optional(),
  securityContext: z.looseObject({
    fsGroup: fsGroup.optional(),
    fsGroupChangePolicy: z.enum(["Always", "OnRootMismatch"]).optional(),
  }).optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  nodeName: z.string().max(253).optional(),
  serviceAccountName: z.string().max(253).optional(),
  hostname: z.string().max(63).optional(),
  terminationGracePeriodSeconds: z.int().min(0).optional(),
}).superRefine(checkMounts);
/** See the schema of the same name. */
export type PodSpec = z.infer<typeof PodSpec>;

const condition = z.looseObject({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().optional(),
});

/** See the head of the file. */
export const Pod = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("Pod"),
  metadata: Metadata,
  spec: PodSpec,
  status: z.looseObject({
    phase: z.enum(["Pending", "Running", "Succeeded", "Failed", "Unknown"]).optional(),
    conditions: z.array(condition).optional(),
  }).optional(),
}).meta({ id: "Pod" });
/** See the schema of the same name. */
export type Pod = z.infer<typeof Pod>;

/** All containers of a pod, those that run first in front. */
export function containersOf(spec: PodSpec): PodContainer[] {
  return [...spec.initContainers ?? [], ...spec.containers];
}
