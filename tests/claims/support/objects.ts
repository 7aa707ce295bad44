/** Objects for tests of claims, as the store holds them after they were applied. */
import { parseKubeObject } from "../../../runtime/core/specs/kube/parse_object.ts";
import type { KubeObject } from "../../../runtime/objects/port.ts";
import {
  type Claim,
  claimOf,
  type Class,
  classOf,
  type Snapshot,
  snapshotOf,
  type Volume,
  volumeOf,
} from "../../../runtime/volume/claims/views.ts";

type Json = Record<string, unknown>;

let made = 0;

/** What the tests say of an object besides its name. */
export interface Meta {
  readonly uid?: string;
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly finalizers?: string[];
  readonly deletionTimestamp?: string;
  readonly creationTimestamp?: string;
}

function stored(object: Json, meta: Meta): KubeObject {
  const { object: parsed } = parseKubeObject(object);
  const kube = parsed as unknown as KubeObject;
  const creationTimestamp = new Date(1_700_000_000_000 + 1000 * made++).toISOString();
  const uid = `uid-${kube.metadata.name}`;
  return { ...kube, metadata: { ...kube.metadata, uid, resourceVersion: "1", creationTimestamp, ...meta } };
}

export function claimJson(name: string, spec: Json = {}): Json {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace: "default" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
  };
}

export function volumeJson(name: string, spec: Json = {}): Json {
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      ...(Object.keys(spec).some((key) => ["hostPath", "nfs", "csi", "local"].includes(key))
        ? {}
        : { local: { path: `/data/${name}` } }),
      ...spec,
    },
  };
}

export function classJson(name: string, fields: Json = {}): Json {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name },
    provisioner: "lamina.dev/local",
    ...fields,
  };
}

export function snapshotJson(name: string, claim: string): Json {
  return {
    apiVersion: "snapshot.storage.k8s.io/v1",
    kind: "VolumeSnapshot",
    metadata: { name, namespace: "default" },
    spec: { source: { persistentVolumeClaimName: claim } },
  };
}

export function podJson(name: string, claims: string[]): Json {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      containers: [{ name: "c", image: "i" }],
      volumes: claims.map((claimName, i) => ({ name: `v${i}`, persistentVolumeClaim: { claimName } })),
    },
  };
}

export function claim(name: string, spec: Json = {}, meta: Meta = {}, status?: Json): Claim {
  const finalizers = ["kubernetes.io/pvc-protection"];
  return claimOf({ ...stored(claimJson(name, spec), { namespace: "default", finalizers, ...meta }), status });
}

/** Available, unless told otherwise. */
export function volume(
  name: string,
  spec: Json = {},
  meta: Meta = {},
  phase = "Available",
): Volume {
  const finalizers = ["kubernetes.io/pv-protection"];
  return volumeOf({ ...stored(volumeJson(name, spec), { finalizers, ...meta }), status: { phase } });
}

export function storageClass(name: string, fields: Json = {}, meta: Meta = {}): Class {
  return classOf(stored(classJson(name, fields), meta));
}

export function snapshot(name: string, of: string, meta: Meta = {}, status?: Json): Snapshot {
  return snapshotOf({ ...stored(snapshotJson(name, of), { namespace: "default", ...meta }), status });
}
