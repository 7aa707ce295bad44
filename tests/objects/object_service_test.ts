import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { isLaminaError, LaminaError } from "../../runtime/core/errors.ts";
import type { KubeObject, ObjectChange, WatchLine } from "../../runtime/core/model/object.ts";
import { MAX_EVENTS } from "../../runtime/objects/event_notes.ts";
import { ObjectVerbs } from "../../runtime/objects/object_service.ts";
import { Objects } from "../../runtime/objects/object_store.ts";
import { Store } from "../../runtime/store/store.ts";
import { scratchDirectory, testOperation } from "../support/scratch.ts";

/** Objects on a database of their own. */
async function fresh() {
  const scratch = await scratchDirectory();
  const open = () => {
    const store = new Store(join(scratch.path, "db"));
    const objects = new Objects(store);
    return { store, objects, verbs: new ObjectVerbs(objects) };
  };
  let opened = open();
  const close = () => {
    opened.objects[Symbol.dispose]();
    opened.store[Symbol.dispose]();
  };
  const operation = testOperation();
  return {
    get objects() {
      return opened.objects;
    },
    get verbs() {
      return opened.verbs;
    },
    operation,
    apply: (object: unknown) => opened.verbs.apply(object, { dryRun: false }, operation),
    reopen() {
      close();
      opened = open();
    },
    async [Symbol.asyncDispose]() {
      close();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const configMap = (data: Record<string, string>, more: Record<string, unknown> = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "c" },
  data,
  ...more,
});
const claim = (storage: string, more: Record<string, unknown> = {}) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "p" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } }, ...more },
});
const claimKey = { kind: "PersistentVolumeClaim", namespace: "default", name: "p" };

async function refusal(promise: Promise<unknown>): Promise<LaminaError> {
  const error = await assertRejects(() => promise);
  assert(isLaminaError(error), String(error));
  return error;
}

Deno.test("what is applied survives a restart; the same again is unchanged", async () => {
  await using room = await fresh();
  assertEquals((await room.apply(configMap({ a: "1" }))).result, "created");
  const before = room.verbs.get("ConfigMap", "default", "c");
  assertEquals((await room.apply(configMap({ a: "1" }))).result, "unchanged");
  room.reopen();
  assertEquals(room.verbs.get("ConfigMap", "default", "c"), before);
  assertEquals((await room.apply(configMap({ a: "1" }))).result, "unchanged");
  const { result, object } = await room.apply(configMap({ b: "2" }));
  assertEquals([result, object.data], ["configured", { b: "2" }]);
  assertEquals(object.metadata.uid, before.metadata.uid);
  assert(Number(object.metadata.resourceVersion) > Number(before.metadata.resourceVersion));
});

Deno.test("the count of changes does not go back when the newest object is deleted", async () => {
  await using room = await fresh();
  const { object } = await room.apply(configMap({}));
  await room.verbs.delete("ConfigMap", "default", "c", room.operation);
  room.reopen();
  const again = await room.apply(configMap({}));
  assert(Number(again.object.metadata.resourceVersion) > Number(object.metadata.resourceVersion));
  assert(again.object.metadata.uid !== object.metadata.uid);
});

Deno.test("a dry run says what would be done, and does nothing", async () => {
  await using room = await fresh();
  const { result } = await room.verbs.apply(configMap({ a: "1" }), { dryRun: true }, room.operation);
  assertEquals([result, room.verbs.list("ConfigMap")], ["created", []]);
});

Deno.test("a Secret's texts become base64; nothing of them is in an annotation", async () => {
  await using room = await fresh();
  const secret = (extra: Record<string, unknown>) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s" },
    ...extra,
  });
  const { object } = await room.apply(secret({ data: { a: "YQ==" }, stringData: { b: "grün", a: "b" } }));
  assertEquals(object.data, { a: "Yg==", b: "Z3LDvG4=" });
  assertEquals([object.type, object.stringData, object.metadata.annotations], ["Opaque", undefined, undefined]);
  assertEquals((await room.apply(secret({ stringData: { b: "grün", a: "b" } }))).result, "unchanged");
});

Deno.test("what the store and controllers say of an object is not taken from a manifest", async () => {
  await using room = await fresh();
  await room.apply(configMap({ a: "1" }));
  const stored = room.verbs.get("ConfigMap", "default", "c");
  const dumped = { ...structuredClone(stored), status: { phase: "Bound" } };
  assertEquals((await room.apply(dumped)).result, "unchanged");
  const other = { ...dumped, metadata: { ...dumped.metadata, uid: "00000000-0000-4000-8000-000000000000" } };
  assertEquals((await refusal(room.apply(other))).code, "CONFLICT");
  await room.apply(configMap({ a: "2" }));
  const late = await refusal(room.apply({ ...dumped, data: { a: "3" } }));
  assertEquals(late.code, "CONFLICT");
  assertStringIncludes(late.message, "has changed since version");
});

Deno.test("immutable data, claims and sources do not change; each is refused by its field", async () => {
  await using room = await fresh();
  await room.apply(configMap({ a: "1" }, { immutable: true }));
  assertStringIncludes((await refusal(room.apply(configMap({ a: "2" }, { immutable: true })))).message, ": data:");
  assertStringIncludes((await refusal(room.apply(configMap({ a: "1" })))).message, ": immutable:");
  await room.apply(claim("1Gi"));
  assertStringIncludes(
    (await refusal(room.apply(claim("1Gi", { storageClassName: "x" })))).message,
    "spec.storageClassName",
  );
  assertStringIncludes((await refusal(room.apply(claim("2Gi")))).message, "not bound yet");
  const volume = (path: string) => ({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "v" },
    spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path } },
  });
  await room.apply(volume("/a"));
  assertStringIncludes((await refusal(room.apply(volume("/b")))).message, "spec.hostPath");
});

Deno.test("a bound claim grows where its class allows that, and never shrinks below what it has", async () => {
  await using room = await fresh();
  const storageClass = (allowVolumeExpansion: boolean) => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "s" },
    provisioner: "lamina.dev/local",
    allowVolumeExpansion,
  });
  await room.apply(storageClass(false));
  await room.apply(claim("1Gi", { storageClassName: "s" }));
  await room.objects.update(claimKey, (object) => ({
    ...object,
    spec: { ...object.spec, volumeName: "v" },
    status: { phase: "Bound", capacity: { storage: "1Gi" } },
  }));
  assertStringIncludes(
    (await refusal(room.apply(claim("2Gi", { storageClassName: "s" })))).message,
    "allowVolumeExpansion",
  );
  await room.apply(storageClass(true));
  const { object } = await room.apply(claim("2Gi", { storageClassName: "s" }));
  assertEquals(object.spec!.volumeName, "v", "what the binder has set stays");
  await room.objects.update(
    claimKey,
    (object) => ({ ...object, status: { phase: "Bound", capacity: { storage: "2Gi" } } }),
  );
  assertStringIncludes((await refusal(room.apply(claim("1Gi", { storageClassName: "s" })))).message, "cannot shrink");
});

Deno.test("an object with finalizers is marked, cannot be applied, and goes with the last of them", async () => {
  await using room = await fresh();
  await room.apply(claim("1Gi"));
  const changes: string[] = [];
  room.objects.watch(({ type, object }: ObjectChange) =>
    changes.push(`${type} ${object.metadata.deletionTimestamp !== undefined}`)
  );
  assertEquals((await room.verbs.delete("PersistentVolumeClaim", "default", "p", room.operation)).gone, false);
  assertEquals((await refusal(room.apply(claim("1Gi")))).code, "CONFLICT");
  room.reopen();
  const gone = await room.objects.update(
    claimKey,
    (object) => ({ ...object, metadata: { ...object.metadata, finalizers: [] } }),
  );
  assertEquals([gone, room.objects.get(claimKey)], [undefined, undefined]);
  assertEquals(changes, ["modified true"]);
  assertEquals(
    (await refusal(room.verbs.delete("PersistentVolumeClaim", "default", "p", room.operation))).code,
    "NOT_FOUND",
  );
});

Deno.test("changes that meet are made one after the other, and are told in order", async () => {
  await using room = await fresh();
  await room.apply(claim("1Gi"));
  const told: number[] = [];
  room.objects.watch(({ object }) => told.push(Number(object.metadata.resourceVersion)));
  const count = (object: KubeObject) => ({ ...object, status: { count: Number(object.status?.count ?? 0) + 1 } });
  await Promise.all(Array.from({ length: 50 }, () => room.objects.update(claimKey, count)));
  assertEquals(room.objects.get(claimKey)!.status, { count: 50 });
  assertEquals(told, [...told].sort((a, b) => a - b));
  assertEquals(told.length, 50);
});

Deno.test("a change to nothing is none; a controller cannot give an object another identity", async () => {
  await using room = await fresh();
  const { object } = await room.apply(claim("1Gi"));
  assertEquals(await room.objects.update(claimKey, (same) => structuredClone(same)), object);
  const renamed = await room.objects.update(claimKey, (same) => ({
    ...same,
    metadata: { ...same.metadata, name: "q", uid: "u", labels: { a: "b" } },
  }));
  assertEquals([renamed!.metadata.name, renamed!.metadata.uid, renamed!.metadata.labels], ["p", object.metadata.uid, {
    a: "b",
  }]);
});

Deno.test("a watch tells what is there, a bookmark, and what happens", async () => {
  await using room = await fresh();
  await room.apply(configMap({ a: "1" }));
  const stop = new AbortController();
  const lines: string[] = [];
  const reading = (async () => {
    for await (const line of room.verbs.watch({ kind: "ConfigMap" }, stop.signal) as AsyncIterable<WatchLine>) {
      lines.push(line.type);
      if (line.type === "deleted") break;
    }
  })();
  await room.apply(configMap({ a: "2" }));
  await room.verbs.delete("ConfigMap", "default", "c", room.operation);
  await reading;
  assertEquals(lines, ["added", "bookmark", "modified", "deleted"]);
  stop.abort();
});

Deno.test("events that differ in their bytes only are counted, the newest message is told, over a restart too", async () => {
  await using room = await fresh();
  const event = (free: number, class_ = "fast") =>
    room.objects.event({
      about: { kind: "PersistentVolumeClaim", namespace: "default", name: "c", uid: "u" },
      type: "Warning",
      reason: "ProvisioningFailed",
      message: `class ${class_}: Cannot give 943718400 bytes to pvc-1: the disk has ${free} available`,
    });
  event(123456);
  event(99999);
  room.reopen();
  event(77777);
  event(77777, "slow");
  const events = room.verbs.events({ kind: "PersistentVolumeClaim", namespace: "default", name: "c" });
  assertEquals(events.map(({ count, message }) => `${count} ${message.slice(-15)}`), [
    "3 77777 available",
    "1 77777 available",
  ]);
});

Deno.test("equal events are counted, the newest are kept over a restart", async () => {
  await using room = await fresh();
  const event = (message: string) =>
    room.objects.event({
      about: { kind: "Pod", namespace: "default", name: "p", uid: "u" },
      type: "Warning",
      reason: "FailedMount",
      message,
    });
  for (let i = 0; i < 3; i++) event("again");
  for (let i = 0; i < MAX_EVENTS; i++) event(`number ${i}`);
  event("again");
  room.reopen();
  const events = room.verbs.events({ kind: "Pod", namespace: "default", name: "p" });
  assertEquals(events.length, MAX_EVENTS);
  assertEquals([events.at(-1)!.message, events.at(-1)!.count], ["again", 1]);
  assertEquals(events[0]!.message, "number 1");
});
