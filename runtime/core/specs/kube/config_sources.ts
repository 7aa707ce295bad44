/** Volumes whose files are written from objects: configMap, secret, downwardAPI, projected. */
import * as z from "zod";
import { DataKey, DnsSubdomain, FileMode, FilePath, Quantity } from "./primitives.ts";

const DEFAULT_MODE = 0o644;

/** One key as one file. */
export const KeyToPath = z.strictObject({ key: DataKey, path: FilePath, mode: FileMode.optional() });
/** See the schema of the same name. */
export type KeyToPath = z.infer<typeof KeyToPath>;

const items = z.array(KeyToPath).max(4096).optional();
const defaultMode = FileMode.default(DEFAULT_MODE);

/** `configMap` of a pod's volume. */
export const ConfigMapSource = z.strictObject({
  name: DnsSubdomain,
  items,
  defaultMode,
  optional: z.boolean().optional(),
});
/** See the schema of the same name. */
export type ConfigMapSource = z.infer<typeof ConfigMapSource>;

/** `secret` of a pod's volume. */
export const SecretSource = z.strictObject({
  secretName: DnsSubdomain,
  items,
  defaultMode,
  optional: z.boolean().optional(),
});
/** See the schema of the same name. */
export type SecretSource = z.infer<typeof SecretSource>;

const volumeFields = /^metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^'\]]+'\])$/;
const resources = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-[A-Za-z0-9]+)$/;

/** A field of the pod. */
export const FieldRef = z.strictObject({
  apiVersion: z.literal("v1").optional(),
  fieldPath: z.string().regex(
    volumeFields,
    "must be metadata.name, .namespace, .uid, .labels, .annotations, .labels['KEY'] or .annotations['KEY']",
  ),
});

/** A resource of one of the pod's containers. */
export const ResourceFieldRef = z.strictObject({
  containerName: z.string().optional(),
  resource: z.string().regex(
    resources,
    "must be limits. or requests. and cpu, memory, ephemeral-storage or hugepages-*",
  ),
  divisor: Quantity.optional(),
});

/** One file of a downwardAPI volume. */
export const DownwardApiFile = z.strictObject({
  path: FilePath,
  fieldRef: FieldRef.optional(),
  resourceFieldRef: ResourceFieldRef.extend({ containerName: z.string().min(1) }).optional(),
  mode: FileMode.optional(),
}).refine(
  ({ fieldRef, resourceFieldRef }) => (fieldRef === undefined) !== (resourceFieldRef === undefined),
  "must have either fieldRef or resourceFieldRef",
);
/** See the schema of the same name. */
export type DownwardApiFile = z.infer<typeof DownwardApiFile>;

const downwardItems = z.array(DownwardApiFile).max(4096).optional();

/** `downwardAPI` of a pod's volume. */
export const DownwardApiSource = z.strictObject({ items: downwardItems, defaultMode });
/** See the schema of the same name. */
export type DownwardApiSource = z.infer<typeof DownwardApiSource>;

/** What only an API server of Kubernetes can give. */
function nobodyIssues(what: string) {
  return z.never(
    `needs a Kubernetes API server, which issues the ${what}; there is none here. Remove this source, or give the same ` +
      "as a secret",
  ).optional();
}

/** One of the sources of a projected volume. */
export const ProjectedPart = z.strictObject({
  secret: z.strictObject({ name: DnsSubdomain, items, optional: z.boolean().optional() }).optional(),
  configMap: z.strictObject({ name: DnsSubdomain, items, optional: z.boolean().optional() }).optional(),
  downwardAPI: z.strictObject({ items: downwardItems }).optional(),
  serviceAccountToken: nobodyIssues("tokens"),
  clusterTrustBundle: nobodyIssues("trust bundles"),
  podCertificate: nobodyIssues("certificates"),
}).refine((part) => Object.keys(part).length === 1, {
  message: "must have exactly one of secret, configMap and downwardAPI",
  abort: true,
});
/** See the schema of the same name. */
export type ProjectedPart = z.infer<typeof ProjectedPart>;

/** `projected` of a pod's volume. */
export const ProjectedSource = z.strictObject({
  sources: z.array(ProjectedPart).max(256).default([]),
  defaultMode,
}).superRefine(({ sources }, context) => {
  const seen = new Set<string>();
  sources.forEach((part, i) => {
    for (const [kind, path] of pathsOf(part)) {
      if (seen.has(path)) {
        context.addIssue({ code: "custom", path: ["sources", i, kind], message: `the path "${path}" is given twice` });
      }
      seen.add(path);
    }
  });
});
/** See the schema of the same name. */
export type ProjectedSource = z.infer<typeof ProjectedSource>;

/** The paths that a part names; those that come from keys are known only when it is written. */
function pathsOf(part: ProjectedPart): Array<[string, string]> {
  return [
    ...(part.secret?.items ?? []).map(({ path }): [string, string] => ["secret", path]),
    ...(part.configMap?.items ?? []).map(({ path }): [string, string] => ["configMap", path]),
    ...(part.downwardAPI?.items ?? []).map(({ path }): [string, string] => ["downwardAPI", path]),
  ];
}
