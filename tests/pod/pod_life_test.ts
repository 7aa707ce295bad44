import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { isLaminaError } from "../../runtime/core/errors.ts";
import type { KubeObject } from "../../runtime/core/model/object.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, unmountBelow } from "../support/scratch.ts";
import { applyText, deleted, eventsOf, exampleText, holds, podRuntime, ready, rootOf, until } from "./support/pods.ts";

const pod = (name: string, volumes: string, mounts: string, more = "") =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {${more}containers: [{name: main, image: "small:1", ` +
  `volumeMounts: [${mounts}]}], volumes: [${volumes}]}}`;

/** Why a condition does not hold. */
function why(object: KubeObject | undefined, type = "Ready"): string {
  const conditions = (object?.status?.conditions ?? []) as { type: string; message?: string }[];
  return conditions.find((one) => one.type === type)?.message ?? "";
}

rootTest("a pod whose image is not imported has its volumes; its root follows when the image comes", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, test } = room;
  await applyText(
    runtime,
    pod("late", "{name: v, emptyDir: {}}", "{name: v, mountPath: /v}").replace("small:1", "later:1"),
  );
  const waiting = await until(runtime, "Pod", "late", (object) => why(object).includes("not imported"));
  assert(holds(waiting, "VolumesReady"));
  assertEquals(holds(waiting, "Ready"), false);
  assert(eventsOf(runtime, "late").some((line) => line.startsWith("ErrImageNeverPull")));
  await test.importImage("later:1", [{ "etc/": "" }]);
  assert(Deno.statSync(join(rootOf(await ready(runtime, "late"), "main"), "v")).isDirectory);
  await deleted(runtime, "Pod", "late");
  assertEquals(await test.check(), []);
});

rootTest("a missing ConfigMap keeps a pod waiting and is named; optional, or applied later, it does not", async () => {
  await using room = await podRuntime();
  const { runtime } = room.test;
  await applyText(runtime, pod("strict", "{name: c, configMap: {name: settings}}", "{name: c, mountPath: /c}"));
  await applyText(
    runtime,
    pod("lax", "{name: c, configMap: {name: settings, optional: true}}", "{name: c, mountPath: /c}"),
  );
  await ready(runtime, "lax");
  const waiting = await until(runtime, "Pod", "strict", (object) => why(object).includes("settings"));
  assertEquals(waiting!.status!.phase, "Pending");
  assert(eventsOf(runtime, "strict").some((line) => /^FailedMount: .*settings/.test(line)));
  await applyText(runtime, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: '1'}}");
  const up = await ready(runtime, "strict");
  assertEquals(Deno.readTextFileSync(join(rootOf(up, "main"), "c/a")), "1");
});

rootTest("changes of a ConfigMap reach the files of a running pod; a deleted one leaves them as they are", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, test } = room;
  const config = (value: string) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {key: ${value}}}`;
  await applyText(runtime, config("one"));
  await applyText(runtime, pod("reader", "{name: c, configMap: {name: c}}", "{name: c, mountPath: /c}"));
  const file = join(rootOf(await ready(runtime, "reader"), "main"), "c/key");
  assertEquals(Deno.readTextFileSync(file), "one");
  await applyText(runtime, config("two"));
  await eventually(() => Deno.readTextFileSync(file) === "two");
  await deleted(runtime, "ConfigMap", "c");
  assertEquals(Deno.readTextFileSync(file), "two");
  await deleted(runtime, "Pod", "reader");
  assertEquals(await test.check(), []);
});

rootTest("labels of a running pod that change reach its downwardAPI files", async () => {
  await using room = await podRuntime();
  const { runtime } = room.test;
  const text = exampleText("downward-api.yaml", room.host);
  await applyText(runtime, text);
  const file = join(rootOf(await ready(runtime, "self-portrait"), "main"), "etc/podinfo/labels");
  await applyText(runtime, text.replace("rack-22", "rack-7"));
  await eventually(() => Deno.readTextFileSync(file).includes('rack="rack-7"'));
});

rootTest("of two pods on one ReadWriteOncePod claim the second waits for the first, and is told so", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, host } = room;
  await applyText(
    runtime,
    `{apiVersion: v1, kind: PersistentVolume, metadata: {name: one}, spec: {capacity: {storage: 1Gi}, storageClassName: m,
      accessModes: [ReadWriteOncePod], hostPath: {path: ${host}/there}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: only}, spec: {storageClassName: m,
  accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}`,
  );
  const volume = "{name: v, persistentVolumeClaim: {claimName: only}}";
  await applyText(runtime, pod("first", volume, "{name: v, mountPath: /v}"));
  await ready(runtime, "first");
  await applyText(runtime, pod("second", volume, "{name: v, mountPath: /v}"));
  const waiting = await until(runtime, "Pod", "second", (object) => why(object).includes("ReadWriteOncePod"));
  assertStringIncludes(why(waiting), "default/first");
  await deleted(runtime, "Pod", "first");
  await ready(runtime, "second");
});

rootTest("a pod that is deleted while its volumes are mounted or waited for is gone at once", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, test } = room;
  const volumes = ["{name: c, configMap: {name: never}}", "{name: e, emptyDir: {medium: Memory}}"].join(", ");
  await applyText(runtime, pod("short", volumes, "{name: c, mountPath: /c}, {name: e, mountPath: /e}"));
  await deleted(runtime, "Pod", "short");
  await applyText(runtime, pod("stuck", volumes, "{name: c, mountPath: /c}, {name: e, mountPath: /e}"));
  await until(runtime, "Pod", "stuck", (object) => why(object).includes("never"));
  await deleted(runtime, "Pod", "stuck");
  assertEquals(runtime.operations.volumesInUse(), []);
  assertEquals(await test.check(), []);
});

rootTest("a claim that is deleted while a pod uses it stays until the pod is gone", async () => {
  await using room = await podRuntime();
  const { test: { runtime, operation }, host } = room;
  await applyText(runtime, exampleText("claim-static.yaml", host));
  const root = rootOf(await ready(runtime, "task"), "main");
  const { gone } = await runtime.objects.delete("PersistentVolumeClaim", "default", "task-claim", operation);
  assertEquals(gone, false);
  Deno.writeTextFileSync(join(root, "data/still"), "usable");
  await applyText(
    runtime,
    pod("too-late", "{name: v, persistentVolumeClaim: {claimName: task-claim}}", "{name: v, mountPath: /v}"),
  );
  await until(runtime, "Pod", "too-late", (object) => why(object).includes("is being deleted"));
  await deleted(runtime, "Pod", "too-late");
  await deleted(runtime, "Pod", "task");
  await until(runtime, "PersistentVolumeClaim", "task-claim", (object) => object === undefined);
  assertEquals(Deno.readTextFileSync(join(host, "there/still")), "usable");
});

rootTest("a subPath that is a link out of its volume is refused, and mounted when the link has gone", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, host } = room;
  Deno.mkdirSync(join(host, "outside"));
  Deno.symlinkSync(join(host, "outside"), join(host, "there/sub"));
  const volume = `{name: v, hostPath: {path: ${host}/there}}`;
  await applyText(runtime, pod("escape", volume, "{name: v, mountPath: /v, subPath: sub/deep}"));
  const waiting = await until(runtime, "Pod", "escape", (object) => why(object).includes("leads out"));
  assertEquals(holds(waiting, "VolumesReady"), true);
  assertEquals([...Deno.readDirSync(join(host, "outside"))], []);
  Deno.removeSync(join(host, "there/sub"));
  Deno.writeTextFileSync(join(rootOf(await ready(runtime, "escape"), "main"), "v/file"), "inside");
  assertEquals(Deno.readTextFileSync(join(host, "there/sub/deep/file")), "inside");
});

rootTest("a restart finds pods as they were; one that was being deleted goes", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  await applyText(test.runtime, exampleText("article-pod.yaml", host));
  await applyText(test.runtime, exampleText("sub-path.yaml", host));
  const before = await ready(test.runtime, "storage-tour");
  await ready(test.runtime, "lamp-site");
  Deno.writeTextFileSync(join(rootOf(before, "main"), "cache/file"), "kept");
  await test.restart();
  const after = await ready(test.runtime, "storage-tour");
  assertEquals(rootOf(after, "main"), rootOf(before, "main"));
  assertEquals(Deno.readTextFileSync(join(rootOf(after, "main"), "cache/file")), "kept");
  // Marked, and the runtime ends before it is done.
  await test.runtime.objects.delete("Pod", "default", "storage-tour", test.operation);
  await test.restart();
  await until(test.runtime, "Pod", "storage-tour", (object) => object === undefined);
  await ready(test.runtime, "lamp-site");
  await deleted(test.runtime, "Pod", "lamp-site");
  assertEquals(await test.check(), []);
});

rootTest("a pod that is up is never shown as one that is being made, while a restart finds it again", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  await applyText(test.runtime, exampleText("article-pod.yaml", host));
  const root = rootOf(await ready(test.runtime, "storage-tour"), "main");
  await test.restart();
  const seen: boolean[] = [];
  const watching = new AbortController();
  const lines = test.runtime.objects.watch({ kind: "Pod", name: "storage-tour" }, watching.signal);
  const watch = (async () => {
    for await (const line of lines) if (line.type !== "bookmark") seen.push(holds(line.object, "Ready"));
  })();
  // Its volumes are known again when a change reaches them.
  const config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: app-config}, data: {greeting: again}}";
  await applyText(test.runtime, config);
  await eventually(() => {
    return exists(join(root, "etc/config/greeting")) &&
      Deno.readTextFileSync(join(root, "etc/config/greeting")) === "again";
  });
  watching.abort();
  await watch.catch(() => {});
  assert(seen.length > 0);
  assertEquals(seen.filter((isReady) => !isReady), []);
});

rootTest("after a reboot all pods are mounted again", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  for (const file of ["article-pod.yaml", "claim-dynamic.yaml"]) await applyText(test.runtime, exampleText(file, host));
  const data = rootOf(await ready(test.runtime, "shop"), "main");
  Deno.writeTextFileSync(join(data, "data/file"), "kept");
  const root = rootOf(await ready(test.runtime, "storage-tour"), "main");
  Deno.writeTextFileSync(join(root, "cache/file"), "kept");
  await test.runtime[Symbol.asyncDispose]();
  await unmountBelow(test.root);
  await test.reopen();
  await eventually(() => exists(join(root, "etc/config/greeting")) && exists(join(data, "data/file")));
  assertEquals(Deno.readTextFileSync(join(root, "cache/file")), "kept");
  await ready(test.runtime, "storage-tour");
  // Nothing has grown by being mounted, nor by being mounted again.
  assertEquals(eventsOf(test.runtime, "shop").filter((line) => line.startsWith("FileSystemResize")), []);
  for (const name of ["storage-tour", "shop"]) await deleted(test.runtime, "Pod", name);
  assertEquals((await test.check()).filter((line) => !line.includes("persistent")), []);
});

rootTest("somebody who works in a pod's root has its grace period, then the root goes", async () => {
  await using room = await podRuntime();
  const { test: { runtime, operation } } = room;
  const more = "terminationGracePeriodSeconds: 1, ";
  await applyText(runtime, pod("busy", "{name: v, emptyDir: {}}", "{name: v, mountPath: /v}", more));
  const root = rootOf(await ready(runtime, "busy"), "main");
  const sleeper = new Deno.Command("sleep", { args: ["60"], cwd: join(root, "v"), stdin: "null" }).spawn();
  try {
    await runtime.objects.delete("Pod", "default", "busy", operation);
    await until(runtime, "Pod", "busy", (object) => object === undefined);
    assert(eventsOf(runtime, "busy").some((line) => line.startsWith("FailedKillPod")));
  } finally {
    sleeper.kill("SIGKILL");
    await sleeper.status;
  }
  assertEquals((await runCommand("findmnt", ["-n", root], {})).stdout, "");
});

rootTest("a pod that is deleted by force waits for nobody, also when it was being deleted already", async () => {
  await using room = await podRuntime();
  const { test: { runtime, operation }, test } = room;
  const more = "terminationGracePeriodSeconds: 600, ";
  await applyText(runtime, pod("busy", "{name: v, emptyDir: {}}", "{name: v, mountPath: /v}", more));
  const root = rootOf(await ready(runtime, "busy"), "main");
  const sleeper = new Deno.Command("sleep", { args: ["600"], cwd: join(root, "v"), stdin: "null" }).spawn();
  try {
    await runtime.objects.delete("Pod", "default", "busy", operation);
    await eventually(() => eventsOf(runtime, "busy").some((line) => line.startsWith("FailedKillPod")));
    await runtime.objects.delete("Pod", "default", "busy", operation, { grace_s: 0 });
    await until(runtime, "Pod", "busy", (object) => object === undefined);
  } finally {
    sleeper.kill("SIGKILL");
    await sleeper.status;
  }
  assertEquals(await test.check(), []);
});

rootTest("somebody else's container with a pod's name is left alone", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, test } = room;
  const other = await test.create({ name: "k8s_main_mine_default" });
  await applyText(runtime, pod("mine", "{name: v, emptyDir: {}}", "{name: v, mountPath: /v}"));
  await until(runtime, "Pod", "mine", (object) => why(object).includes("belongs to no pod"));
  await deleted(runtime, "Pod", "mine");
  assertEquals(runtime.containers.list().map(({ id }) => id), [other.id]);
});

rootTest("an ephemeral volume does not take over a claim that was there", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, host } = room;
  await applyText(
    runtime,
    "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: with-scratch-scratch}, spec: {storageClassName: '', " +
      "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}",
  );
  await applyText(runtime, exampleText("ephemeral.yaml", host));
  await until(runtime, "Pod", "with-scratch", (object) => why(object).includes("was not made for this pod"));
  await deleted(runtime, "Pod", "with-scratch");
  assert(runtime.objects.get("PersistentVolumeClaim", "default", "with-scratch-scratch"));
});

rootTest("what cannot change of a running pod is refused by its field, and changes nothing", async () => {
  await using room = await podRuntime();
  const { runtime } = room.test;
  await applyText(runtime, pod("fixed", "{name: v, emptyDir: {}}", "{name: v, mountPath: /v}"));
  const other = pod("fixed", "{name: v, hostPath: {path: /tmp}}", "{name: v, mountPath: /v}");
  const error = await assertRejects(() => applyText(runtime, other));
  assert(isLaminaError(error, "CONFLICT"));
  assertStringIncludes(error.message, "spec.volumes");
  await ready(runtime, "fixed");
});

rootTest("volumes in memory that somebody unmounts come back with what containers still have of them", async () => {
  await using room = await podRuntime();
  const { test: { runtime }, test, host } = room;
  const secret = (value: string) => `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {key: ${value}}}`;
  await applyText(runtime, secret("one"));
  const volumes = "{name: s, secret: {secretName: s}}, {name: e, emptyDir: {medium: Memory}}, " +
    `{name: p, hostPath: {path: ${host}/there}}`;
  Deno.writeTextFileSync(join(host, "there/probe"), "");
  // The container may only read the secret; its volume is written all the same.
  await applyText(
    runtime,
    pod(
      "keeper",
      volumes,
      "{name: s, mountPath: /s, readOnly: true}, {name: e, mountPath: /e}, {name: p, mountPath: /p}",
    ),
  );
  const up = await ready(runtime, "keeper");
  const root = rootOf(up, "main");
  Deno.writeTextFileSync(join(root, "e/file"), "kept");
  const volume = (plugin: string, name: string) => join(test.root, "pods", up.metadata.uid, "volumes", plugin, name);
  const paths = [volume("kubernetes.io~secret", "s"), volume("kubernetes.io~empty-dir", "e")] as const;
  // The manager knows a mount again once it has looked at the table: it has when another one is back that was taken.
  const probe = volume("kubernetes.io~host-path", "p");
  await runCommand("umount", [probe]);
  await eventually(() => exists(join(probe, "probe")));
  for (const path of paths) await runCommand("umount", [path]);
  await eventually(() => exists(join(paths[0], "key")) && exists(join(paths[1], "file")));
  assertEquals(Deno.readTextFileSync(join(paths[1], "file")), "kept");
  Deno.writeTextFileSync(join(root, "e/file"), "still the same");
  assertEquals(Deno.readTextFileSync(join(paths[1], "file")), "still the same");
  await applyText(runtime, secret("two"));
  await eventually(() => Deno.readTextFileSync(join(root, "s/key")) === "two");
  assertThrows(() => Deno.writeTextFileSync(join(root, "s/more"), ""));
  assertEquals(await test.check(), []);

  // The same while the program is not there.
  await runtime[Symbol.asyncDispose]();
  for (const path of paths) await runCommand("umount", [path]);
  await test.reopen();
  await ready(test.runtime, "keeper");
  await eventually(() => exists(join(paths[1], "file")));
  assertEquals(Deno.readTextFileSync(join(root, "e/file")), "still the same");
  await applyText(test.runtime, secret("three"));
  await eventually(() => Deno.readTextFileSync(join(root, "s/key")) === "three");
  assertEquals(await test.check(), []);
  await deleted(test.runtime, "Pod", "keeper");
  assertEquals(await test.check(), []);
});

/** Looks until it is so. */
async function eventually(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error("it did not happen within 30 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
