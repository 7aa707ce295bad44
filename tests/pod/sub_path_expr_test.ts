/** What `subPathExpr` becomes, by the container's variables; and that nothing it becomes leads out of the volume. */
import { assertEquals, assertThrows } from "@std/assert";
import { parseKubeObject } from "../../runtime/core/specs/kube/parse_object.ts";
import { planBinds } from "../../runtime/pod/container_mounts.ts";
import { environmentOf, MissingReference } from "../../runtime/pod/pod_env.ts";
import { podOf } from "../../runtime/pod/resolve_volumes.ts";
import type { KubeObject } from "../../runtime/core/model/object.ts";

const OBJECTS: Readonly<Record<string, KubeObject>> = {
  "ConfigMap settings": { data: { place: "from-map", up: "..", deep: "a/b" } } as unknown as KubeObject,
  "Secret keys": { data: { word: btoa("from-secret") } } as unknown as KubeObject,
};

/** The path below the volume that is bound, with these variables. */
function subPath(expression: string, env: unknown[] = [], envFrom: unknown[] = []): string | undefined {
  const { object } = parseKubeObject({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", labels: { tier: "front" }, annotations: { note: "../up" } },
    spec: {
      volumes: [{ name: "v", emptyDir: {} }],
      containers: [{
        name: "c",
        env,
        envFrom,
        volumeMounts: [{ name: "v", mountPath: "/v", subPathExpr: expression }],
      }],
    },
  });
  const kube = object as unknown as KubeObject;
  const pod = podOf({ ...kube, metadata: { ...kube.metadata, uid: "u-1", namespace: "shop" } });
  const container = pod.spec.containers[0]!;
  const objects = { get: ({ kind, name }: { kind: string; name: string }) => OBJECTS[`${kind} ${name}`] };
  const variables = () => environmentOf(pod, container, { objects, nodeName: "here" });
  return planBinds(pod, container, { paths: new Map([["v", "/volume"]]), read_only: new Set() }, variables)[0]!.subPath;
}

const value = (name: string, text: string) => ({ name, value: text });
const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const fromMap = (name: string, key: string, optional = false) => ({
  name,
  valueFrom: { configMapKeyRef: { name: "settings", key, optional } },
});

Deno.test("variables of all kinds become a path below the volume", () => {
  const secret = { name: "S", valueFrom: { secretKeyRef: { name: "keys", key: "word" } } };
  const table: ReadonlyArray<readonly [string | undefined, string, unknown[]?, unknown[]?]> = [
    ["plain", "plain"],
    ["web", "$(POD)", [field("POD", "metadata.name")]],
    ["shop/u-1/front", "$(N)/$(U)/$(L)", [
      field("N", "metadata.namespace"),
      field("U", "metadata.uid"),
      field("L", "metadata.labels['tier']"),
    ]],
    ["here", "$(NODE)", [field("NODE", "spec.nodeName")]],
    ["logs/web", "$(DIR)", [field("POD", "metadata.name"), value("DIR", "logs/$(POD)")]],
    ["from-map/from-secret", "$(M)/$(S)", [fromMap("M", "place"), secret]],
    ["from-map", "$(APP_place)", [], [{ prefix: "APP_", configMapRef: { name: "settings" } }]],
    ["$(POD)", "$$(POD)", [field("POD", "metadata.name")]],
    ["a/b", "$(A)//./b/", [value("A", "a")]],
    // The volume itself.
    [undefined, "$(EMPTY)", [value("EMPTY", "")]],
    [undefined, "./$(DOT)", [value("DOT", ".")]],
  ];
  for (const [path, expression, env, envFrom] of table) assertEquals(subPath(expression, env, envFrom), path);
});

Deno.test("what leads out of the volume, or has no value, keeps the pod waiting and says which", () => {
  const table: ReadonlyArray<readonly [says: string, expression: string, env?: unknown[]]> = [
    ['"$(UP)" becomes a path that is absolute or has ".."', "$(UP)", [fromMap("UP", "up")]],
    ['"a/$(UP)" becomes a path that is absolute', "a/$(UP)", [value("UP", "../../etc")]],
    ['"$(NOTE)" becomes a path', "$(NOTE)", [field("NOTE", "metadata.annotations['note']")]],
    ['"$(ABSOLUTE)" becomes a path', "$(ABSOLUTE)", [value("ABSOLUTE", "/etc")]],
    ['there is no variable "NONE" for $(NONE)', "$(NONE)"],
    ['there is no variable "M" for $(M)', "$(M)", [fromMap("M", "absent", true)]],
    ['ConfigMap "settings" has no key "absent" for variable M', "$(M)", [fromMap("M", "absent")]],
    ['Secret "gone" does not exist', "$(S)", [{ name: "S", valueFrom: { secretKeyRef: { name: "gone", key: "k" } } }]],
    ["status.podIP is not known here", "$(IP)", [field("IP", "status.podIP")]],
  ];
  for (const [says, expression, env] of table) {
    assertThrows(() => subPath(expression, env), MissingReference, says);
  }
  // What a variable of a Secret holds is in no message.
  const secret = { name: "S", valueFrom: { secretKeyRef: { name: "keys", key: "word" } } };
  const error = assertThrows(() => subPath("$(UP)/$(S)", [value("UP", ".."), secret]), Error);
  assertEquals(error.message.includes("from-secret"), false);
});
