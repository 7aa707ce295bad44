/** `metadata` of every object. */
import * as z from "zod";
import { Annotations, DnsLabel, DnsSubdomain, KubeLabels, QualifiedName } from "./primitives.ts";

/** Who an object belongs to: it goes with its owner. */
export const OwnerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
});

/** What an author may say of an object. What the store says (uid, resourceVersion, …) is kept beside it. */
export const Metadata = z.looseObject({
  name: DnsSubdomain,
  namespace: DnsLabel.optional(),
  uid: z.string().max(128).optional(),
  resourceVersion: z.string().max(64).optional(),
  creationTimestamp: z.string().max(64).optional(),
  deletionTimestamp: z.string().max(64).optional(),
  labels: KubeLabels.optional(),
  annotations: Annotations.optional(),
  finalizers: z.array(QualifiedName).max(64).optional(),
  ownerReferences: z.array(OwnerReference).max(64).optional(),
});
