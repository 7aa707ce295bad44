import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { applyText, deleted, eventsOf, exampleText, podRuntime, ready, rootOf } from "./support/pods.ts";

rootTest("the article's pod has its four volumes, and gives them back when it is deleted", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  const { runtime } = test;
  const text = exampleText("article-pod.yaml", host);
  assertEquals(await applyText(runtime, text), [
    "ConfigMap app-config created",
    "Secret app-secret created",
    "Pod storage-tour created",
  ]);
  const pod = await ready(runtime, "storage-tour");
  const root = rootOf(pod, "main");
  assertEquals(Deno.readTextFileSync(join(root, "etc/motd")), "hello\n");
  assertEquals(Deno.readTextFileSync(join(root, "etc/config/greeting")), "hello");
  assertEquals(Deno.readTextFileSync(join(root, "etc/special/password")), "correct horse");
  assertEquals(Deno.statSync(join(root, "etc/special/password")).mode! & 0o777, 0o400);
  Deno.writeTextFileSync(join(root, "cache/file"), "cached");
  Deno.writeTextFileSync(join(root, "test/file"), "of the host");
  assertEquals(Deno.readTextFileSync(join(host, "test/file")), "of the host");
  let refused = false;
  try {
    Deno.writeTextFileSync(join(root, "etc/special/other"), "");
  } catch {
    refused = true;
  }
  assert(refused, "the secret's volume is read-only");
  assertEquals((await applyText(runtime, text)).map((line) => line.split(" ").at(-1)), [
    "unchanged",
    "unchanged",
    "unchanged",
  ]);
  assert(eventsOf(runtime, "storage-tour").some((line) => line.startsWith("SuccessfulMountVolume")));
  await deleted(runtime, "Pod", "storage-tour");
  assertEquals(Deno.readTextFileSync(join(host, "test/file")), "of the host");
  assertEquals(runtime.containers.list(), []);
  assertEquals(runtime.operations.volumesInUse(), []);
  assertEquals([...Deno.readDirSync(join(test.root, "pods"))].map(({ name }) => name), []);
  assertEquals(await test.check(), []);
});
