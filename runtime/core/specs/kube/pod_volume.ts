/** `spec.volumes` of a pod. */
import * as z from "zod";
import { ConfigMapSource, DownwardApiSource, ProjectedSource, SecretSource } from "./config_sources.ts";
import { EphemeralSource } from "./persistent_volume_claim.ts";
import { DnsLabel, DnsSubdomain } from "./primitives.ts";
import { EmptyDirSource, HostPathSource, podNetworkSources, sourcesNotHere } from "./volume_sources.ts";

const { nfs, iscsi, rbd, cephfs, flexVolume, glusterfs, csi } = podNetworkSources;

/** `persistentVolumeClaim` of a pod's volume. */
export const ClaimSource = z.strictObject({ claimName: DnsSubdomain, readOnly: z.boolean().default(false) });
/** See the schema of the same name. */
export type ClaimSource = z.infer<typeof ClaimSource>;

const sources = {
  emptyDir: EmptyDirSource.optional(),
  hostPath: HostPathSource.optional(),
  configMap: ConfigMapSource.optional(),
  secret: SecretSource.optional(),
  downwardAPI: DownwardApiSource.optional(),
  projected: ProjectedSource.optional(),
  persistentVolumeClaim: ClaimSource.optional(),
  ephemeral: EphemeralSource.optional(),
  nfs: nfs.optional(),
  iscsi: iscsi.optional(),
  rbd: rbd.optional(),
  cephfs: cephfs.optional(),
  flexVolume: flexVolume.optional(),
  glusterfs: glusterfs.optional(),
  csi: csi.optional(),
};

/** The names of the sources that a pod's volume can have. */
export const POD_SOURCES = Object.keys(sources) as readonly (keyof typeof sources)[];

/** One volume of a pod. */
export const PodVolume = z.strictObject({ name: DnsLabel, ...sources, ...sourcesNotHere(POD_SOURCES) }).superRefine(
  (volume, context) => {
    const given = POD_SOURCES.filter((name) => volume[name] !== undefined);
    if (given.length > 1) {
      context.addIssue({ code: "custom", message: `must have exactly one source, not ${given.join(" and ")}` });
    }
  },
);
/** See the schema of the same name. */
export type PodVolume = z.infer<typeof PodVolume>;

/** The source of a pod's volume: its name and its fields. A volume that names none is an emptyDir, as in Kubernetes. */
export function sourceOf(volume: PodVolume): { readonly kind: typeof POD_SOURCES[number]; readonly value: object } {
  const kind = POD_SOURCES.find((name) => volume[name] !== undefined);
  if (kind === undefined) return { kind: "emptyDir", value: { medium: "" } };
  return { kind, value: volume[kind]! };
}
