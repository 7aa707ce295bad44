/** Volumes that Kubernetes has and Lamina cannot have are refused by their field, with what to do instead. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { parseKubeObject } from "../../runtime/core/specs/kube/parse_object.ts";

function podWith(source: Record<string, unknown>) {
  const spec = { containers: [{ name: "c" }], volumes: [{ name: "v", ...source }] };
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec };
}

function volumeWith(source: Record<string, unknown>) {
  const spec = { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], ...source };
  return { apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "p" }, spec };
}

const projected = (source: Record<string, unknown>) => podWith({ projected: { sources: [source] } });
const FIRST = "spec.volumes[0].projected.sources[0]";

const REFUSED: ReadonlyArray<readonly [object: unknown, ...says: string[]]> = [
  [
    projected({ serviceAccountToken: { path: "token", audience: "vault", expirationSeconds: 7200 } }),
    `${FIRST}.serviceAccountToken: needs a Kubernetes API server, which issues the tokens; there is none here`,
    "Remove this source, or give the same as a secret",
  ],
  [
    projected({ clusterTrustBundle: { name: "ca", path: "ca.pem" } }),
    `${FIRST}.clusterTrustBundle: needs a Kubernetes`,
  ],
  [projected({ podCertificate: { keyType: "ED25519" } }), `${FIRST}.podCertificate: needs a Kubernetes API server`],
  [projected({ serviceAccounttoken: {} }), `${FIRST}.serviceAccounttoken: is not a known field`],
  [podWith({ gitRepo: { repository: "r" } }), "spec.volumes[0].gitRepo: is a kind of volume that Lamina does not have"],
  [
    podWith({ image: { reference: "a:1" } }),
    "spec.volumes[0].image: is a kind of volume",
    "There are emptyDir, hostPath",
  ],
  [podWith({ awsElasticBlockStore: { volumeID: "v" } }), "spec.volumes[0].awsElasticBlockStore: is a kind of volume"],
  [podWith({ emptydir: {} }), "spec.volumes[0].emptydir: is not a known field"],
  [volumeWith({ fc: { lun: 0 } }), "spec.fc: is a kind of volume that Lamina does not have. There are hostPath, local"],
  [podWith({ local: { path: "/x" } }), "spec.volumes[0].local: is not a known field"],
  [volumeWith({ emptyDir: {} }), "spec.emptyDir: is not a known field"],
];

for (const [object, ...says] of REFUSED) {
  Deno.test(`refused by its field: ${says[0]}`, () => {
    const { code, message } = assertThrows(() => parseKubeObject(object), LaminaError);
    assertEquals(code, "INVALID_ARGUMENT");
    for (const part of says) assertStringIncludes(message, part);
  });
}
