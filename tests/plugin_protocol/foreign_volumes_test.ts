/** Volumes that a plugin has and nobody here has asked for: seen, used, and never taken for others. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../runtime/core/errors.ts";
import type { VolumeListing } from "../../runtime/core/model/volume.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { type FakePlugin, startFakePlugin } from "./support/fake_plugin.ts";

/** Volumes of the plugin with what it tells of them. */
const THEIRS: Readonly<Record<string, Record<string, unknown>>> = {
  old: { Mountpoint: "/somewhere/old", CreatedAt: "2020-01-02T03:04:05Z", Status: { raid: "degraded", disks: 2 } },
  plain: {},
};

interface Setting extends AsyncDisposable {
  readonly test: TestRuntime;
  readonly plugin: FakePlugin;
  readonly directory: string;
}

async function setting(look_ms?: number): Promise<Setting> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await scratchDirectory());
  const data = join(directory, "data");
  const plugin = parts.use(await startFakePlugin(join(directory, "fake.sock"), data));
  for (const name of Object.keys(THEIRS)) await Deno.mkdir(join(data, name));
  const theirs = new Map(Object.entries(THEIRS));
  const volume = (Name: string) => ({ Name, ...theirs.get(Name) });
  plugin.on("VolumeDriver.List", () => ({ Volumes: [...theirs.keys()].map(volume) }));
  plugin.on(
    "VolumeDriver.Get",
    ({ Name }) => theirs.has(String(Name)) ? { Volume: volume(String(Name)) } : { Err: "no such volume" },
  );
  plugin.on("VolumeDriver.Remove", ({ Name }) => theirs.delete(String(Name)) ? {} : { Err: "no such volume" });
  const patience = { delays_ms: [60_000], slowCall_ms: 60_000, call_ms: 60_000, look_ms };
  const volumePlugins = { places: { sockets: [directory], files: [directory] }, patience };
  const test = parts.use(await TestRuntime.withImage({ volumePlugins }));
  const held = parts.move();
  return { test, plugin, directory, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const list = ({ test }: Setting, filters = {}) => test.runtime.volumes.listWithPlugins(filters, test.operation);
const names = ({ volumes }: VolumeListing) => volumes.map(({ name, driver }) => `${driver}/${name}`);

async function refused(code: ErrorCode, words: string, body: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(body, LaminaError, words);
  assertEquals(error.code, code, error.message);
}

/** A socket that nobody listens on: a plugin that has died. */
async function deadSocket(directory: string, name: string): Promise<void> {
  const listener = Deno.listen({ transport: "unix", path: join(directory, "was.tmp") });
  await Deno.rename(join(directory, "was.tmp"), join(directory, `${name}.sock`));
  listener.close();
}

rootTest(
  "volumes of a plugin are listed and shown with what it tells, though nobody here has asked for them",
  async () => {
    await using s = await setting();
    await s.test.runtime.volumes.create({ name: "mine" }, s.test.operation);
    const all = await list(s);
    assertEquals([names(all), all.warnings], [["local/mine", "fake/old", "fake/plain"], []]);
    const { created_at, ...old } = all.volumes[1]!;
    assertEquals(Date.parse(created_at!), Date.parse("2020-01-02T03:04:05Z"));
    assertEquals(old, {
      name: "old",
      driver: "fake",
      scope: "global",
      options: {},
      labels: {},
      mountpoint: "/somewhere/old",
      usable: true,
      anonymous: false,
      used_by: [],
      status: { raid: "degraded", disks: 2 },
    });
    assertEquals(all.volumes[2]!.created_at, undefined);
    for (
      const [filters, found] of [
        [{ driver: ["fake"] }, ["fake/old", "fake/plain"]],
        [{ name: ["^p"] }, ["fake/plain"]],
        [{ dangling: false }, []],
        [{ label: ["x"] }, []],
      ] as const
    ) assertEquals(names(await list(s, filters)), [...found], JSON.stringify(filters));
    assertEquals(
      await s.test.runtime.volumes.inspectWithPlugins("plain", s.test.operation).then(({ name }) => name),
      "plain",
    );
    await refused(
      "NOT_FOUND",
      "no volume",
      () => s.test.runtime.volumes.inspectWithPlugins("nobodys", s.test.operation),
    );
    assertEquals(
      s.test.runtime.volumes.list().map(({ name }) => name),
      ["mine"],
      "looking takes nothing over",
    );
  },
);

rootTest("a plugin that is dead, hangs, talks nonsense or has a broken address hides nothing but itself", async () => {
  await using s = await setting(4000);
  await deadSocket(s.directory, "dead");
  await Deno.writeTextFile(join(s.directory, "broken.spec"), "?");
  await using parts = new AsyncDisposableStack();
  const late = Promise.withResolvers<unknown>();
  const hangs = parts.use(await startFakePlugin(join(s.directory, "hangs.sock"), join(s.directory, "h")));
  parts.defer(() => late.resolve({}));
  hangs.on("VolumeDriver.List", () => late.promise);
  hangs.on("VolumeDriver.Get", () => late.promise);
  const silly = parts.use(await startFakePlugin(join(s.directory, "silly.sock"), join(s.directory, "s")));
  silly.on("VolumeDriver.List", () => ({ Volumes: [null, 1, { Name: 5 }, { Name: "../up" }, { Name: "fine" }] }));
  silly.on("VolumeDriver.Get", () => new Response("<html>"));
  const { volumes } = s.test.runtime;
  await volumes.create({ name: "mine" }, s.test.operation);
  const all = await list(s);
  assertEquals(names(all), ["silly/fine", "local/mine", "fake/old", "fake/plain"]);
  const told = all.warnings.join("\n");
  for (
    const words of [
      /plugin "dead" failed.*nobody answers/,
      /"hangs".*did not answer within/,
      /broken\.spec/,
      /silly.*names/,
    ]
  ) {
    assertMatch(told, words);
  }
  // Who hung is not waited for by the next who only looks, and in nobody's way.
  await list(s);
  assertEquals(hangs.calls.filter((call) => call !== "Plugin.Activate").length, 1);
  assertEquals((await volumes.inspectWithPlugins("plain", s.test.operation)).driver, "fake");
  await refused("NOT_FOUND", "Not asked", () => volumes.inspectWithPlugins("nobodys", s.test.operation));
  await s.test.create({ name: "web", mounts: [{ type: "volume", source: "fresh", target: "/x" }] });
  assertEquals(volumes.inspect("fresh").driver, "local");
});

rootTest(
  "a container gets a volume by the name that only a plugin knows, and the catalogue has it from then on",
  async () => {
    await using s = await setting();
    const { test, plugin, directory } = s;
    await Deno.writeTextFile(join(directory, "data/old/x"), "theirs\n");
    const mounts = [{ type: "volume", source: "old", target: "/old" }] as const;
    await Promise.all(["one", "two", "three"].map((name) => test.create({ name, mounts: [...mounts] })));
    const { rootfs } = await test.mount("two");
    assertEquals(await Deno.readTextFile(join(rootfs, "old/x")), "theirs\n");
    const { driver, used_by, created_at } = test.runtime.volumes.inspect("old");
    assertEquals([driver, used_by, created_at], [
      "fake",
      ["one", "three", "two"],
      "2020-01-02T03:04:05.000Z",
    ]);
    assert(!plugin.calls.includes("VolumeDriver.Create"), "it was there");
    assertEquals((await test.runtime.volumes.inspectWithPlugins("old", test.operation)).status, THEIRS.old!.Status);
    assertEquals(names(await list(s)), ["fake/old", "fake/plain"], "once");
    await refused("CONFLICT", "is used by", () => test.runtime.volumes.remove("old", test.operation));
    await test.unmount("two");
    for (const name of ["one", "two", "three"]) await test.remove(name, { volumes: true });
    assert(!plugin.calls.includes("VolumeDriver.Remove"), "somebody named it");
    await test.runtime.volumes.remove("old", test.operation);
    assertEquals(names(await list(s)), ["fake/plain"]);
    // Also one that was never used here.
    assertEquals((await test.runtime.volumes.remove("plain", test.operation)).deleted, ["plain"]);
    assertEquals(names(await list(s)), []);
    assertEquals(await test.check(), []);
  },
);

rootTest("a client and a backup have a plugin's volume; no new volume takes its name from another driver", async () => {
  await using s = await setting();
  const { test: { runtime: { volumes }, operation }, directory } = s;
  await refused("CONFLICT", 'plugin "fake" has one', () => volumes.create({ name: "old" }, operation));
  await refused(
    "CONFLICT",
    'plugin "fake" has one',
    () => volumes.restore("old", emptyTar(), { force: false }, operation),
  );
  assertEquals((await volumes.create({ name: "plain", driver: "fake" }, operation)).driver, "fake");
  assertEquals(await volumes.mount("old", "me", operation), join(directory, "data/old"));
  await volumes.unmount("old", "me", operation);
  const { stream } = await volumes.backup("old", { compression: "none" }, operation);
  assert((await new Response(stream).arrayBuffer()).byteLength > 0);
  assertEquals(names(await list(s)), ["fake/old", "fake/plain"]);
});

rootTest("what a dead plugin does not tell of a known volume is told as an error beside what is known", async () => {
  await using s = await setting();
  const { test: { runtime: { volumes }, operation }, plugin } = s;
  await volumes.mount("old", "me", operation);
  await volumes.unmount("old", "me", operation);
  plugin.on("VolumeDriver.Get", () => new Response("gone", { status: 200 }));
  const { driver, status } = await volumes.inspectWithPlugins("old", operation);
  assertEquals(driver, "fake");
  assertStringIncludes(String(status!.error), 'Volume plugin "fake" failed at VolumeDriver.Get');
});

function emptyTar(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([new Uint8Array(1024)]).stream();
}
