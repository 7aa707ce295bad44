/** Volumes that come from this host or from another machine; of pods and of PersistentVolumes. */
import * as z from "zod";
import { FileSystemType, HostPath, LocalReference, Quantity, SecretReference } from "./primitives.ts";

const readOnly = z.boolean().default(false);
const text = z.string().min(1).max(4096).regex(/^[^\0\n]*$/, "must not contain NUL or line breaks");
const host = z.string().min(1).max(255).regex(/^[A-Za-z0-9._:[\]%-]+$/, "must be a host name or address");

/** Kinds of volumes that Kubernetes has, or had, and Lamina has not. */
const NOT_HERE = [
  "awsElasticBlockStore",
  "azureDisk",
  "azureFile",
  "cinder",
  "fc",
  "flocker",
  "gcePersistentDisk",
  "gitRepo",
  "image",
  "photonPersistentDisk",
  "portworxVolume",
  "quobyte",
  "scaleIO",
  "storageos",
  "vsphereVolume",
] as const;

/**
 * Fields of these kinds, which refuse whatever they are given.
 *
 * @param known Names of the kinds that there are.
 */
export function sourcesNotHere(known: readonly string[]) {
  const refused = z.never(`is a kind of volume that Lamina does not have. There are ${known.join(", ")}`).optional();
  return Object.fromEntries(NOT_HERE.map((name) => [name, refused])) as Record<
    typeof NOT_HERE[number],
    typeof refused
  >;
}

/** `emptyDir`. */
export const EmptyDirSource = z.strictObject({
  medium: z.string().regex(/^(|Memory|HugePages(-[0-9]+[KMG]i)?)$/, 'must be "", Memory, HugePages or HugePages-SIZE')
    .default(""),
  sizeLimit: Quantity.optional(),
});
/** See the schema of the same name. */
export type EmptyDirSource = z.infer<typeof EmptyDirSource>;

/** `hostPath`. */
export const HostPathSource = z.strictObject({
  path: HostPath,
  type: z.enum(["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"])
    .default(""),
});
/** See the schema of the same name. */
export type HostPathSource = z.infer<typeof HostPathSource>;

/** `local`; PersistentVolumes only. */
export const LocalSource = z.strictObject({ path: HostPath, fsType: FileSystemType.optional() });
/** See the schema of the same name. */
export type LocalSource = z.infer<typeof LocalSource>;

/** `nfs`. */
export const NfsSource = z.strictObject({ server: host, path: HostPath, readOnly });
/** See the schema of the same name. */
export type NfsSource = z.infer<typeof NfsSource>;

/** The sources whose secret lies in the pod's namespace, or, for a PersistentVolume, in any. */
function remoteSources<S extends typeof LocalReference | typeof SecretReference>(secret: S) {
  const secretRef = secret.optional();
  return {
    iscsi: z.strictObject({
      targetPortal: text,
      iqn: z.string().max(223).regex(
        /^(iqn\.\d{4}-\d{2}(\.[^\s.:]+)+(:\S+)?|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16}([0-9A-Fa-f]{16})?)$/,
        "must be an iSCSI name, e.g. iqn.2001-04.com.example:storage",
      ),
      lun: z.int().min(0).max(255),
      iscsiInterface: z.string().min(1).max(255).default("default"),
      fsType: FileSystemType.optional(),
      readOnly,
      portals: z.array(text).max(64).optional(),
      chapAuthDiscovery: z.boolean().optional(),
      chapAuthSession: z.boolean().optional(),
      initiatorName: text.optional(),
      secretRef,
    }).refine(
      ({ chapAuthDiscovery, chapAuthSession, secretRef }) =>
        !(chapAuthDiscovery || chapAuthSession) || secretRef !== undefined,
      { path: ["secretRef"], message: "is needed for CHAP" },
    ),
    rbd: z.strictObject({
      monitors: z.array(host).min(1).max(64),
      image: text,
      fsType: FileSystemType.optional(),
      pool: text.default("rbd"),
      user: text.default("admin"),
      keyring: text.default("/etc/ceph/keyring"),
      secretRef,
      readOnly,
    }),
    cephfs: z.strictObject({
      monitors: z.array(host).min(1).max(64),
      path: text.default("/"),
      user: text.default("admin"),
      secretFile: text.default("/etc/ceph/user.secret"),
      secretRef,
      readOnly,
    }),
    flexVolume: z.strictObject({
      driver: z.string().max(253).regex(/^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/, "must be VENDOR/DRIVER"),
      fsType: FileSystemType.optional(),
      secretRef,
      readOnly,
      options: z.record(z.string(), z.string()).optional(),
    }),
  };
}

const ofPods = remoteSources(LocalReference);
const ofPersistentVolumes = remoteSources(SecretReference);
const glusterfs = z.strictObject({ endpoints: text, path: text, readOnly });
const attributes = z.record(z.string().max(255), z.string().max(4096));
const driver = z.string().max(63).regex(
  /^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$/,
  "must be the name of a CSI driver: letters, digits, - and .",
);

/** `csi` of a pod: a volume that lives and dies with the pod. */
export const CsiEphemeralSource = z.strictObject({
  driver,
  readOnly,
  fsType: FileSystemType.optional(),
  volumeAttributes: attributes.optional(),
  nodePublishSecretRef: LocalReference.optional(),
});
/** See the schema of the same name. */
export type CsiEphemeralSource = z.infer<typeof CsiEphemeralSource>;

/** `csi` of a PersistentVolume. */
export const CsiSource = z.strictObject({
  driver,
  volumeHandle: text,
  readOnly,
  fsType: FileSystemType.optional(),
  volumeAttributes: attributes.optional(),
  controllerPublishSecretRef: SecretReference.optional(),
  nodeStageSecretRef: SecretReference.optional(),
  nodePublishSecretRef: SecretReference.optional(),
  controllerExpandSecretRef: SecretReference.optional(),
  nodeExpandSecretRef: SecretReference.optional(),
});
/** See the schema of the same name. */
export type CsiSource = z.infer<typeof CsiSource>;

/** What a pod's volume and a PersistentVolume have alike, as a pod says it. */
export const podNetworkSources = {
  nfs: NfsSource,
  ...ofPods,
  glusterfs,
  csi: CsiEphemeralSource,
};

/** The same as a PersistentVolume says it. */
export const persistentNetworkSources = {
  nfs: NfsSource,
  ...ofPersistentVolumes,
  glusterfs: glusterfs.extend({ endpointsNamespace: z.string().max(63).optional() }),
  csi: CsiSource,
};

/** See {@linkcode persistentNetworkSources}. */
export type IscsiSource = z.infer<typeof ofPersistentVolumes.iscsi>;
/** See {@linkcode persistentNetworkSources}. */
export type RbdSource = z.infer<typeof ofPersistentVolumes.rbd>;
/** See {@linkcode persistentNetworkSources}. */
export type CephFsSource = z.infer<typeof ofPersistentVolumes.cephfs>;
/** See {@linkcode persistentNetworkSources}. */
export type FlexVolumeSource = z.infer<typeof ofPersistentVolumes.flexVolume>;
/** See {@linkcode persistentNetworkSources}. */
export type GlusterfsSource = z.infer<typeof persistentNetworkSources.glusterfs>;
