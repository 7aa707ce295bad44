import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { parseKubeObject } from "../../runtime/core/specs/kube/parse_object.ts";

type Json = Record<string, unknown>;

const podWith = (spec: Json): Json => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec });
const oneVolume = (volume: Json, mount: Json = {}): Json =>
  podWith({
    volumes: [{ name: "v", ...volume }],
    containers: [{ name: "c", volumeMounts: [{ name: "v", mountPath: "/v", ...mount }] }],
  });
const claim = (spec: Json): Json => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "p" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
});
const volume = (spec: Json): Json => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "p" },
  spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], ...spec },
});
const configMap = (more: Json): Json => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "p" }, ...more });

/** What is wrong, and how the message says it. */
const wrong: ReadonlyArray<[Json, string]> = [
  [oneVolume({ hostPath: { path: "/x", type: "Dir" } }), "spec.volumes[0].hostPath.type: must be"],
  [oneVolume({ hostPath: { path: "x" } }), "spec.volumes[0].hostPath.path: must be an absolute path"],
  [oneVolume({ hostPath: { path: "/a/../b" } }), 'spec.volumes[0].hostPath.path: must not contain ".."'],
  [oneVolume({ hostPath: {} }), "spec.volumes[0].hostPath.path: is required"],
  [oneVolume({ hostpath: { path: "/x" } }), "spec.volumes[0].hostpath: is not a known field"],
  [oneVolume({ emptyDir: {}, hostPath: { path: "/x" } }), "spec.volumes[0]: must have exactly one source"],
  [oneVolume({ emptyDir: { medium: "Disk" } }), "spec.volumes[0].emptyDir.medium: must be"],
  [oneVolume({ emptyDir: { sizeLimit: "1 GB" } }), "spec.volumes[0].emptyDir.sizeLimit: must be a quantity"],
  [oneVolume({ emptyDir: { sizeLimit: -5 } }), "spec.volumes[0].emptyDir.sizeLimit: must be a quantity"],
  [oneVolume({ configMap: {} }), "spec.volumes[0].configMap.name: is required"],
  [
    oneVolume({ configMap: { name: "c", defaultMode: 512 } }),
    "spec.volumes[0].configMap.defaultMode: must be permission",
  ],
  [oneVolume({ configMap: { name: "c", defaultMode: "rw" } }), "spec.volumes[0].configMap.defaultMode: must be"],
  [
    oneVolume({ configMap: { name: "c", items: [{ key: "k", path: "../up" }] } }),
    'spec.volumes[0].configMap.items[0].path: must not contain ".."',
  ],
  [
    oneVolume({ configMap: { name: "c", items: [{ key: "k", path: "/abs" }] } }),
    "spec.volumes[0].configMap.items[0].path: must be relative",
  ],
  [oneVolume({ secret: { name: "s" } }), "spec.volumes[0].secret.secretName: is required"],
  [
    oneVolume({ projected: { sources: [{ secret: { name: "a" }, configMap: { name: "b" } }] } }),
    "spec.volumes[0].projected.sources[0]: must have exactly one of",
  ],
  [
    oneVolume({ downwardAPI: { items: [{ path: "a", fieldRef: { fieldPath: "spec.nodeName" } }] } }),
    "spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: must be metadata.name",
  ],
  [oneVolume({ downwardAPI: { items: [{ path: "a" }] } }), "must have either fieldRef or resourceFieldRef"],
  [oneVolume({ persistentVolumeClaim: { claimName: "A_b" } }), "spec.volumes[0].persistentVolumeClaim.claimName: must"],
  [oneVolume({ gcePersistentDisk: { pdName: "d" } }), "spec.volumes[0].gcePersistentDisk: is a kind of volume that"],
  [oneVolume({ emptyDir: {} }, { name: "w" }), 'spec.containers[0].volumeMounts[0].name: there is no volume "w"'],
  [oneVolume({ emptyDir: {} }, { mountPath: undefined }), "spec.containers[0].volumeMounts[0].mountPath: is required"],
  [oneVolume({ emptyDir: {} }, { mountPath: "/" }), 'spec.containers[0].volumeMounts[0].mountPath: must not be "/"'],
  [oneVolume({ emptyDir: {} }, { subPath: "a/../../b" }), 'volumeMounts[0].subPath: must not contain ".."'],
  [oneVolume({ emptyDir: {} }, { subPath: "/a" }), "volumeMounts[0].subPath: must be relative"],
  [
    oneVolume({ emptyDir: {} }, { subPath: "a", subPathExpr: "b" }),
    "volumeMounts[0].subPathExpr: goes not with subPath",
  ],
  [oneVolume({ emptyDir: {} }, { recursiveReadOnly: "Enabled" }), "recursiveReadOnly: needs readOnly: true"],
  [
    oneVolume({ emptyDir: {} }, { mountPropagation: "Bidirectional" }),
    "mountPropagation: Bidirectional is for privileged",
  ],
  [
    oneVolume({ emptyDir: {} }, { readonly: true }),
    "spec.containers[0].volumeMounts[0].readonly: is not a known field",
  ],
  [
    podWith({ volumes: [{ name: "v" }, { name: "v" }], containers: [{ name: "c" }] }),
    'spec.volumes[1].name: there are two volumes "v"',
  ],
  [
    podWith({
      volumes: [{ name: "v" }],
      containers: [{ name: "c", volumeMounts: [{ name: "v", mountPath: "/a" }, { name: "v", mountPath: "/a/" }] }],
    }),
    'spec.containers[0].volumeMounts[1].mountPath: "/a/" is taken',
  ],
  [
    podWith({
      volumes: [{ name: "v" }],
      containers: [{ name: "c", volumeDevices: [{ name: "v", devicePath: "/dev/x" }] }],
    }),
    'spec.containers[0].volumeDevices[0].name: "v" must be a persistentVolumeClaim',
  ],
  [podWith({ containers: [] }), "spec.containers: must have at least one container"],
  [podWith({ containers: [{ name: "c" }], securityContext: { fsGroup: -1 } }), "spec.securityContext.fsGroup"],
  [claim({ accessModes: [] }), "spec.accessModes: must name at least one"],
  [
    claim({ accessModes: ["ReadWriteOncePod", "ReadWriteOnce"] }),
    "spec.accessModes: ReadWriteOncePod goes with no other",
  ],
  [claim({ resources: { requests: { storage: "0" } } }), "spec.resources.requests.storage: must be greater than zero"],
  [claim({ resources: {} }), "spec.resources.requests: is required"],
  [claim({ volumeMode: "Raw" }), 'spec.volumeMode: must be "Filesystem" or "Block"'],
  [
    claim({ selector: { matchExpressions: [{ key: "a", operator: "In" }] } }),
    "spec.selector.matchExpressions[0].values: is needed for In",
  ],
  [volume({}), "spec: must have a source: one of hostPath, local"],
  [volume({ hostPath: { path: "/a" }, local: { path: "/b" } }), "spec: must have exactly one source"],
  [
    volume({ hostPath: { path: "/a" }, persistentVolumeReclaimPolicy: "Recycle" }),
    "spec.persistentVolumeReclaimPolicy: must be Retain or Delete",
  ],
  [configMap({ data: { "..x": "1" } }), "data[..x]: the key must not"],
  [configMap({ data: { a: 1 } }), "data.a: must be a string, not number"],
  [configMap({ binaryData: { a: "***" } }), "binaryData.a: must be base64"],
  [configMap({ data: { a: "1" }, binaryData: { a: "MQ==" } }), "binaryData.a: is in data, too"],
  [configMap({ data: { a: "x".repeat(2 ** 20), b: "1" } }), "data: the data has more than 1048576 bytes"],
  [configMap({ metadata: { name: "Upper" } }), "metadata.name: must be a DNS name"],
  [configMap({ metadata: { name: "a", labels: { "a b": "c" } } }), "metadata.labels[a b]: the key must be"],
  [{ ...configMap({}), apiVersion: "v2" }, "apiVersion: must be v1"],
  [{ kind: "Deployment", apiVersion: "apps/v1" }, 'kind is "Deployment". Lamina knows'],
  [{ apiVersion: "v1" }, "kind is missing"],
  [{ ...volume({ hostPath: { path: "/a" } }), metadata: { name: "p", namespace: "n" } }, "belongs to no namespace"],
  [
    { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "s" } },
    "provisioner: is required",
  ],
  [
    { apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshot", metadata: { name: "s" }, spec: { source: {} } },
    "spec.source: must have either",
  ],
];

for (const [object, message] of wrong) {
  Deno.test(`refused by its field: ${message}`, () => {
    const error = assertThrows(() => parseKubeObject(object), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, message);
  });
}

for (const value of [null, 1, "text", [], true]) {
  Deno.test(`${JSON.stringify(value)} is no object`, () => {
    assertStringIncludes(assertThrows(() => parseKubeObject(value), LaminaError).message, "must be a mapping");
  });
}

Deno.test("Kubernetes' defaults are filled in, fields outside of storage are kept, null counts as absent", () => {
  const { object } = parseKubeObject({
    ...podWith({
      restartPolicy: "Never",
      tolerations: null,
      volumes: [{ name: "a" }, { name: "b", configMap: { name: "c", defaultMode: "0400" } }, {
        name: "d",
        hostPath: { path: "/x" },
      }],
      containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }],
    }),
  });
  assertEquals(object.spec, {
    restartPolicy: "Never",
    volumes: [{ name: "a" }, { name: "b", configMap: { name: "c", defaultMode: 0o400 } }, {
      name: "d",
      hostPath: { path: "/x", type: "" },
    }],
    containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }],
  });
  assertEquals(parseKubeObject(object).object, object, "a checked object is as it was");
});

Deno.test("values of a Secret are in no message", () => {
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s" },
    data: { a: "hunter2!" },
    stringData: { b: 7 },
  };
  const { message, details } = assertThrows(() => parseKubeObject(object), LaminaError);
  assert(!message.includes("hunter2") && !JSON.stringify(details).includes("hunter2"));
});

Deno.test("an object that is nested without end is refused", () => {
  let deep: unknown = "x";
  for (let i = 0; i < 5000; i++) deep = { deep };
  assertStringIncludes(assertThrows(() => parseKubeObject(configMap({ deep })), LaminaError).message, "levels deep");
});
