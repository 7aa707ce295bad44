import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { tmpfsKnowsNoswap } from "../../runtime/host/tmpfs_options.ts";
import { rootTest } from "../support/scratch.ts";
import { modeOf, namesIn, PluginStage } from "./stage.ts";

const base64 = (text: string) => new TextEncoder().encode(text).toBase64();

async function shown(path: string): Promise<Record<string, string>> {
  const names = (await namesIn(path)).filter((name) => !name.startsWith(".."));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await Deno.readTextFile(join(path, name))])),
  );
}

rootTest("a configMap shows all its keys, text and binary, and follows its changes", async () => {
  await using stage = await PluginStage.open();
  stage.apply("ConfigMap", "settings", { data: { color: "blue" }, binaryData: { blob: "/wA=" } });
  const spec = stage.spec("config", { configMap: { name: "settings" } });
  const path = await stage.setUp(spec);
  assertEquals(await Deno.readFile(join(path, "blob")), new Uint8Array([255, 0]));
  assertEquals([await Deno.readTextFile(join(path, "color")), await modeOf(join(path, "..data/color"))], [
    "blue",
    0o644,
  ]);
  assertEquals(stage.plugin(spec).references!(spec, stage.workload), [
    { kind: "ConfigMap", namespace: "shop", name: "settings" },
  ]);
  stage.apply("ConfigMap", "settings", { data: { color: "green", size: "xl" } });
  await stage.setUp(spec);
  assertEquals(await shown(path), { color: "green", size: "xl" });
  assertEquals(await stage.tearDown(spec), "nothing");
  assertEquals(await stage.tearDown(spec), "nothing", "again");
});

rootTest("items choose keys, paths and modes", async () => {
  await using stage = await PluginStage.open();
  stage.apply("ConfigMap", "settings", { data: { a: "1", b: "2", c: "3" } });
  // As Kubernetes takes it, `x//./y` is `x/y`.
  const items = [{ key: "a", path: "x//./y/a.conf", mode: 0o400 }, { key: "b", path: "b" }];
  const spec = stage.spec("config", { configMap: { name: "settings", items, defaultMode: 0o755 } });
  const path = await stage.setUp(spec);
  assertEquals((await namesIn(path)).filter((name) => !name.startsWith("..")), ["b", "x"]);
  assertEquals(await Deno.readTextFile(join(path, "x/y/a.conf")), "1");
  assertEquals([await modeOf(join(path, "..data/x/y/a.conf")), await modeOf(join(path, "..data/b"))], [0o400, 0o755]);
  await stage.tearDown(spec);
});

rootTest("what is missing is named, unless it is optional", async () => {
  await using stage = await PluginStage.open();
  const wanted = (more: Record<string, unknown>) => stage.spec("config", { configMap: { name: "settings", ...more } });
  const items = [{ key: "other", path: "other" }];
  const absent = await assertRejects(() => stage.setUp(wanted({})), LaminaError);
  assertEquals([absent.code, absent.message, absent.details.failure_class], [
    "NOT_FOUND",
    'Cannot set up the volume "config" of pod shop/web: ConfigMap shop/settings does not exist. Apply it, or mark it ' +
    "as optional",
    "transient",
  ]);
  assertEquals(await shown(await stage.setUp(wanted({ optional: true }))), {});
  stage.apply("ConfigMap", "settings", { data: { a: "1", b: "2" } });
  const noKey = await assertRejects(() => stage.setUp(wanted({ items })), LaminaError);
  assertStringIncludes(noKey.message, 'ConfigMap shop/settings has no key "other". It has: a, b');
  assertEquals(await shown(await stage.setUp(wanted({ items, optional: true }))), {});
  assertEquals(await shown(await stage.setUp(wanted({}))), { a: "1", b: "2" });
  await stage.tearDown(wanted({}));
});

rootTest("a refresh that fails leaves what is shown", async () => {
  await using stage = await PluginStage.open();
  stage.apply("ConfigMap", "settings", { data: { a: "1" } });
  const spec = stage.spec("config", { configMap: { name: "settings" } });
  const path = await stage.setUp(spec);
  stage.objects.clear();
  const error = await assertRejects(() => stage.setUp(spec), LaminaError);
  assertEquals([error.details.failure_class, await shown(path)], ["transient", { a: "1" }]);
  await stage.tearDown(spec);
});

rootTest("a secret lies in memory, read by its owner alone, and is never on a disk or in a message", async () => {
  await using stage = await PluginStage.open();
  stage.apply("Secret", "keys", { data: { password: base64("hunter2") }, stringData: { user: "admin" } });
  const spec = stage.spec("keys", { secret: { secretName: "keys", defaultMode: 0o400 } });
  const path = await stage.setUp(spec);
  const mounted = mountAtTarget(readMountTable(), path)!;
  assertEquals([mounted.type, mounted.options.includes("nodev")], ["tmpfs", true]);
  assertEquals(mounted.superOptions.includes("noswap"), tmpfsKnowsNoswap());
  assertEquals(await shown(path), { password: "hunter2", user: "admin" });
  assertEquals(await modeOf(join(path, "..data/password")), 0o400);
  await stage.restart();
  await stage.setUp(spec);
  assertEquals(readMountTable().filter(({ target }) => target === path).length, 1, "one mount only");
  stage.apply("Secret", "keys", { data: { password: "hunter2!" } });
  const error = await assertRejects(() => stage.setUp(spec), LaminaError, 'the key "password" of Secret shop/keys');
  assertEquals([error.code, error.message.includes("hunter2")], ["INVALID_ARGUMENT", false]);
  assertEquals(await shown(path), { password: "hunter2", user: "admin" });
  assertEquals(await stage.tearDown(spec), "nothing");
});

rootTest("a secret and a configMap as large as they may be are replaced whole", async () => {
  await using stage = await PluginStage.open();
  // 1 MiB together, in more files than are kept open for a sync.
  const keys = Array.from({ length: 1024 }, (_, i) => `key.${i}`);
  const large = (letter: string) => keys.map((key) => [key, letter.repeat(1024)]);
  const secret = stage.spec("keys", { secret: { secretName: "keys" } });
  const config = stage.spec("config", { configMap: { name: "settings" } });
  for (const letter of ["a", "b"]) {
    const encoded = large(letter).map(([key, text]) => [key, base64(text!)]);
    stage.apply("Secret", "keys", { data: Object.fromEntries(encoded) });
    stage.apply("ConfigMap", "settings", { data: Object.fromEntries(large(letter)) });
    for (const spec of [secret, config]) {
      assertEquals(await shown(await stage.setUp(spec)), Object.fromEntries(large(letter)));
    }
  }
  assertEquals((await namesIn(stage.path(secret))).length, 1024 + 2, "the old ones are gone");
  for (const spec of [secret, config]) assertEquals(await stage.tearDown(spec), "nothing");
});

rootTest("with an fsGroup the files belong to the group, which may read them, from their first moment on", async () => {
  await using stage = await PluginStage.open();
  stage.apply("Secret", "keys", { data: { password: base64("x") } });
  const spec = stage.spec("keys", { secret: { secretName: "keys", defaultMode: 0o400 } });
  const path = await stage.setUp(spec, { fsGroup: 2000 });
  const file = await Deno.stat(join(path, "password"));
  assertEquals([file.mode! & 0o7777, file.uid, file.gid], [0o440, 0, 2000]);
  const top = await Deno.stat(path);
  assertEquals([top.mode! & 0o7777, top.gid], [0o2755, 2000]);
  await stage.tearDown(spec);
});

rootTest("something else at the volume's place is told, and left alone", async () => {
  await using stage = await PluginStage.open();
  stage.apply("Secret", "keys", { data: {} });
  const spec = stage.spec("keys", { secret: { secretName: "keys" } });
  const path = stage.path(spec);
  await Deno.mkdir(path, { recursive: true });
  await stage.mounter.mount([{ type: "tmpfs", source: "foreign", target: path, options: [] }], stage.operation);
  const error = await assertRejects(() => stage.setUp(spec), LaminaError, `foreign is mounted at ${path}`);
  assertEquals(error.code, "CONFLICT");
  await stage.mounter.unmount([path], stage.operation);
  await Deno.remove(path);
  await Deno.writeTextFile(path, "");
  await assertRejects(() => stage.setUp(spec), LaminaError, "is no directory. Remove it");
});

rootTest("downwardAPI shows the pod's fields as Kubernetes writes them", async () => {
  await using stage = await PluginStage.open();
  stage.pod = {
    metadata: {
      name: "web",
      namespace: "shop",
      labels: { tier: "front", app: "web" },
      annotations: { note: 'say "hi"\n\\ \u0001é' },
    },
    spec: {
      containers: [{
        name: "app",
        resources: { limits: { cpu: "250m", memory: "1500Mi" }, requests: { memory: "1G" } },
      }, { name: "free" }],
    },
  };
  const field = (path: string, fieldPath: string) => ({ path, fieldRef: { fieldPath } });
  const resource = (path: string, containerName: string, resource: string, divisor?: string) => ({
    path,
    resourceFieldRef: { containerName, resource, ...(divisor === undefined ? {} : { divisor }) },
  });
  const items = [
    field("name", "metadata.name"),
    field("namespace", "metadata.namespace"),
    field("uid", "metadata.uid"),
    field("labels", "metadata.labels"),
    field("annotations", "metadata.annotations"),
    field("tier", "metadata.labels['tier']"),
    field("none", "metadata.labels['none']"),
    resource("cpu", "app", "limits.cpu"),
    resource("millicpu", "app", "limits.cpu", "1m"),
    resource("gib", "app", "limits.memory", "1Gi"),
    resource("bytes", "app", "requests.memory"),
    resource("asked", "app", "requests.cpu", "1m"),
    resource("zero", "app", "limits.cpu", "0"),
    resource("nothing", "free", "requests.memory"),
    resource("cores", "free", "limits.cpu"),
  ];
  const spec = stage.spec("info", { downwardAPI: { items } });
  const path = await stage.setUp(spec);
  assertEquals(await shown(path), {
    name: "web",
    namespace: "shop",
    uid: stage.workload.uid,
    labels: 'app="web"\ntier="front"',
    annotations: 'note="say \\"hi\\"\\n\\\\ \\x01é"',
    tier: "front",
    none: "",
    cpu: "1",
    millicpu: "250",
    gib: "2",
    bytes: "1000000000",
    asked: "250",
    zero: "1",
    nothing: "0",
    cores: String(navigator.hardwareConcurrency),
  });
  stage.objects.set("Pod/shop/web", { ...stage.pod, metadata: { labels: { app: "new" } } });
  await stage.setUp(spec);
  assertEquals(await Deno.readTextFile(join(path, "labels")), 'app="new"');
  await stage.tearDown(spec);
  const wrong = stage.spec("info", { downwardAPI: { items: [resource("x", "nobody", "limits.cpu")] } });
  await assertRejects(() => stage.setUp(wrong), LaminaError, 'the pod has no container "nobody"');
  const unknown = stage.spec("info", { downwardAPI: { items: [field("x", "status.phase")] } });
  await assertRejects(() => stage.setUp(unknown), LaminaError, "items.0.fieldRef.fieldPath: must be metadata.name");
});

rootTest("projected merges its sources in memory and names those that want one path", async () => {
  await using stage = await PluginStage.open();
  stage.apply("ConfigMap", "settings", { data: { a: "1", b: "2" } });
  stage.apply("Secret", "keys", { data: { password: base64("x") } });
  const downwardAPI = { items: [{ path: "pod/name", fieldRef: { fieldPath: "metadata.name" } }] };
  const secret = { name: "keys", items: [{ key: "password", path: "keys/password", mode: 0o400 }] };
  const sources: Record<string, unknown>[] = [{ configMap: { name: "settings" } }, { secret }, { downwardAPI }];
  const spec = (...more: Record<string, unknown>[]) =>
    stage.spec("all", { projected: { sources: [...sources, ...more], defaultMode: 0o440 } });
  const path = await stage.setUp(spec());
  assertEquals(mountAtTarget(readMountTable(), path)?.type, "tmpfs");
  assertEquals(await Deno.readTextFile(join(path, "pod/name")), "web");
  assertEquals([await modeOf(join(path, "..data/keys/password")), await modeOf(join(path, "..data/a"))], [
    0o400,
    0o440,
  ]);
  assertEquals(stage.plugin(spec()).references!(spec(), stage.workload).map(({ kind }) => kind), [
    "ConfigMap",
    "Secret",
    "Pod",
  ]);
  stage.apply("ConfigMap", "more", { data: { b: "3" } });
  const twice = await assertRejects(() => stage.setUp(spec({ configMap: { name: "more" } })), LaminaError);
  assertStringIncludes(twice.message, 'both sources[0] and sources[3] make the file "b"');
  stage.apply("ConfigMap", "below", { data: { x: "3" } });
  const below = { configMap: { name: "below", items: [{ key: "x", path: "a/x" }] } };
  await assertRejects(
    () => stage.setUp(spec(below)),
    LaminaError,
    '"a" into volume "all" of pod shop/web: it is a file',
  );
  const token = { serviceAccountToken: { path: "token" } };
  const refused = await assertRejects(() => stage.setUp(spec(token)), LaminaError, "needs a Kubernetes API server");
  assertEquals([refused.code, await Deno.readTextFile(join(path, "b"))], ["INVALID_ARGUMENT", "2"]);
  assertEquals(await stage.tearDown(spec()), "nothing");
});
