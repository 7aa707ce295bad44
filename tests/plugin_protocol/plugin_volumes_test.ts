import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";
import { type FakePlugin, startFakePlugin } from "./support/fake_plugin.ts";

const patience = { delays_ms: [50, 100, 200, 400, 800], slowCall_ms: 4000, call_ms: 4000 };

interface Setting extends AsyncDisposable {
  readonly test: TestRuntime;
  readonly plugin: FakePlugin;
  readonly directory: string;
  /** Where the plugin keeps its volumes. */
  readonly data: string;
}

async function setting(): Promise<Setting> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await scratchDirectory());
  const data = join(directory, "data");
  const plugin = parts.use(await startFakePlugin(join(directory, "fake.sock"), data));
  const volumePlugins = { places: { sockets: [directory], files: [] }, patience };
  const test = parts.use(await TestRuntime.withImage({ volumePlugins }));
  const held = parts.move();
  return { test, plugin, directory, data, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const make = ({ test }: Setting, name: string, driver = "fake") =>
  test.runtime.volumes.create({ name, driver, options: { speed: "high" } }, test.operation);

async function refused(code: ErrorCode, words: string, body: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(body, LaminaError, words);
  assertEquals(error.code, code, error.message);
}

rootTest("a plugin's volume is mounted with its first container and unmounted with its last", async () => {
  await using s = await setting();
  const { test, plugin, data } = s;
  const volume = await make(s, "shared");
  assertEquals([volume.driver, volume.scope, volume.usable], ["fake", "global", false]);
  const names = ["one", "two"];
  for (const name of names) {
    await test.runtime.containers.create({
      image: SMALL_IMAGE,
      name,
      mounts: [{ type: "volume", source: "shared", target: "/shared" }],
    }, test.operation);
  }
  const rootfs = await Promise.all(
    names.map(async (name) => (await test.runtime.containers.mount(name, test.operation)).rootfs),
  );
  await Deno.writeTextFile(join(rootfs[0]!, "shared/from-one"), "1");
  assertEquals(await Deno.readTextFile(join(rootfs[1]!, "shared/from-one")), "1");
  assertEquals(await Deno.readTextFile(join(data, "shared/from-one")), "1");
  await refused("CONFLICT", "is used by", () => test.runtime.volumes.remove("shared", test.operation));
  await test.runtime.containers.unmount("one", { lazy: false }, test.operation);
  assert(!plugin.calls.includes("VolumeDriver.Unmount"));
  // A restart finds the second container and takes the volume for it again.
  await test.restart();
  assertEquals(await Deno.readTextFile(join(rootfs[1]!, "shared/from-one")), "1");
  assert(!plugin.calls.includes("VolumeDriver.Unmount"));
  await test.runtime.containers.remove("two", { force: true, volumes: true }, test.operation);
  assertEquals(plugin.calls.filter((call) => call === "VolumeDriver.Unmount").length, 1);
  await test.runtime.containers.remove("one", { force: false, volumes: true }, test.operation);
  assert(!plugin.calls.includes("VolumeDriver.Remove"), "a named volume outlives its containers");
  await test.runtime.volumes.remove("shared", test.operation);
  assertEquals(plugin.calls.at(-1), "VolumeDriver.Remove");
  assertEquals(plugin.calls.filter((call) => call === "VolumeDriver.Capabilities").length, 1);
  assertEquals(await test.check(), []);
});

rootTest("a mount that failed is not unmounted, and the container is told why", async () => {
  await using s = await setting();
  const { test, plugin } = s;
  await make(s, "bad");
  plugin.on("VolumeDriver.Mount", () => Response.json({ Err: "the array is on fire" }, { status: 500 }));
  await test.runtime.containers.create({
    image: SMALL_IMAGE,
    name: "web",
    mounts: [{ type: "volume", source: "bad", target: "/x", no_copy: true }],
  }, test.operation).then(
    () => refused("UNAVAILABLE", "the array is on fire", () => test.runtime.containers.mount("web", test.operation)),
    (error) => assertStringIncludes(error.message, "the array is on fire"),
  );
  assert(plugin.calls.includes("VolumeDriver.Mount"));
  assert(!plugin.calls.includes("VolumeDriver.Unmount"));
});

rootTest("a plugin that answers nonsense, half, too late or not at all is an error and leaves no volume", async () => {
  await using s = await setting();
  const { test, plugin } = s;
  const half = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"Er'));
          controller.error(new Error("gone"));
        },
      }),
    );
  const table: Array<readonly [string, ErrorCode, () => unknown]> = [
    ["is no JSON", "UNAVAILABLE", () => new Response("<html>")],
    ["is no JSON object", "UNAVAILABLE", () => new Response("[1]")],
    ["status 500", "UNAVAILABLE", () => Response.json({}, { status: 500 })],
    ["quota", "UNAVAILABLE", () => ({ Err: "quota" })],
    ["failed at VolumeDriver.Create", "UNAVAILABLE", half],
    ["longer than", "UNAVAILABLE", () => new Response("x".repeat(5 << 20))],
    ["did not answer within 4000 ms", "DEADLINE_EXCEEDED", () => new Promise((resolve) => setTimeout(resolve, 4500))],
  ];
  for (const [words, code, behaviour] of table) {
    plugin.on("VolumeDriver.Create", behaviour);
    await refused(code, words, () => make(s, "v1"));
    assertEquals(test.runtime.volumes.list(), [], words);
  }
  assertEquals(await test.check(), []);
});

rootTest("a plugin that is starting is waited for, and a dead one is in nobody's way", async () => {
  await using s = await setting();
  const { test, directory } = s;
  // A socket that nobody listens on: the plugin has died.
  const listener = Deno.listen({ transport: "unix", path: join(directory, "was.sock") });
  await Deno.rename(join(directory, "was.sock"), join(directory, "dead.sock"));
  listener.close();
  await using late = new AsyncDisposableStack();
  const [dead] = await Promise.allSettled([make(s, "v-dead", "dead"), make(s, "v-alive")]);
  assertEquals(dead.status, "rejected");
  assertStringIncludes(String((dead as PromiseRejectedResult).reason), 'Volume plugin "dead"');
  assertEquals(test.runtime.volumes.list().map(({ name }) => name), ["v-alive"]);
  // The new plugin takes the old one's place at once, as a service that is started again does.
  late.use(await startFakePlugin(join(directory, "new.sock"), join(directory, "late")));
  const starting = make(s, "v-late", "dead");
  await Deno.rename(join(directory, "new.sock"), join(directory, "dead.sock"));
  assertEquals((await starting).driver, "dead");
  await refused("NOT_FOUND", "Known drivers: local, dead, fake", () => make(s, "v9", "nobody"));
});
