import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../runtime/core/errors.ts";
import { VolumeCreate } from "../../runtime/core/specs/volume.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

async function refused(code: ErrorCode, body: () => Promise<unknown>, words = ""): Promise<void> {
  const error = await assertRejects(body, LaminaError, words);
  assertEquals(error.code, code, error.message);
}

const create = (test: TestRuntime, spec: Record<string, unknown> = {}) =>
  test.runtime.volumes.create(VolumeCreate.parse(spec), test.operation);

rootTest("a volume is a directory of its own, made once however often it is asked for", async () => {
  await using test = await TestRuntime.open();
  const made = await create(test, { name: "data", labels: { a: "b" } });
  assertEquals(made.mountpoint, join(test.root, "volumes/data/_data"));
  assertEquals((await Deno.stat(made.mountpoint)).mode! & 0o7777, 0o755);
  assertEquals((await Deno.stat(join(test.root, "volumes"))).mode! & 0o7777, 0o700);
  await Deno.writeTextFile(join(made.mountpoint, "x"), "kept");
  const again = await Promise.all(Array.from({ length: 50 }, () => create(test, { name: "data" })));
  for (const volume of again) assertEquals(volume, made);
  assertEquals(await Deno.readTextFile(join(made.mountpoint, "x")), "kept");
  await test.restart();
  assertEquals(test.runtime.volumes.list(), [made]);
  assertEquals(test.runtime.volumes.inspect("data"), made);
});

rootTest("fifty creators of a name make one volume", async () => {
  await using test = await TestRuntime.open();
  const made = await Promise.all(Array.from({ length: 50 }, () => create(test, { name: "same" })));
  assertEquals(new Set(made.map(({ created_at }) => created_at)).size, 1);
  assertEquals(await test.check(), []);
});

rootTest("a volume without a name is anonymous and says so", async () => {
  await using test = await TestRuntime.open();
  const volume = await create(test);
  assertMatch(volume.name, /^[0-9a-f]{64}$/);
  assert(volume.anonymous);
  assertEquals(volume.labels, { "com.docker.volume.anonymous": "" });
});

rootTest("drivers and options that do not exist, and names that are none, are refused and leave nothing", async () => {
  await using test = await TestRuntime.open();
  await refused("NOT_FOUND", () => create(test, { name: "data", driver: "nfs" }), "nfs");
  await refused("INVALID_ARGUMENT", () => create(test, { name: "data", options: { colour: "red" } }), "colour");
  const raw = (spec: unknown) => test.runtime.volumes.create(spec as never, test.operation);
  for (
    const name of ["a", "a/b", "../x", ".", "..", "-a", "a\0b", "x".repeat(256), "x".repeat(10_000), "name with spaces"]
  ) {
    await refused("INVALID_ARGUMENT", () => raw({ name }), "name");
    assertThrows(() => test.runtime.volumes.inspect(name), LaminaError);
    await refused("NOT_FOUND", () => test.runtime.volumes.remove(name, test.operation));
  }
  assertEquals([...Deno.readDirSync(join(test.root, "volumes"))], []);
  assertEquals(await test.check(), []);
});

rootTest("a volume in use stays, and those who use it are named; afterwards it goes with its data", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "user", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { mountpoint } = test.runtime.volumes.inspect("data");
  await Deno.writeTextFile(join(mountpoint, "x"), "x".repeat(100_000));
  await refused("CONFLICT", () => test.runtime.volumes.remove("data", test.operation), '"user"');
  await test.remove("user");
  const { deleted, reclaimed_bytes } = await test.runtime.volumes.remove("data", test.operation);
  assertEquals(deleted, ["data"]);
  assert(reclaimed_bytes >= 100_000);
  await refused("NOT_FOUND", () => test.runtime.volumes.remove("data", test.operation), "data");
  assertEquals([...Deno.readDirSync(join(test.root, "volumes"))], []);
  assertEquals([...Deno.readDirSync(join(test.root, "trash"))], []);
  assertEquals(await test.check(), []);
});

rootTest("a volume with something mounted inside is not removed, and what is mounted is not touched", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await create(test, { name: "data" });
  const disk = test.hostDirectory("disk");
  await Deno.writeTextFile(join(disk, "x"), "x");
  await Deno.mkdir(join(mountpoint, "disk"));
  await commandOutput("mount", ["--bind", disk, join(mountpoint, "disk")]);
  await refused("CONFLICT", () => test.runtime.volumes.remove("data", test.operation), join(mountpoint, "disk"));
  await commandOutput("umount", [join(mountpoint, "disk")]);
  await test.runtime.volumes.remove("data", test.operation);
  assertEquals(await Deno.readTextFile(join(disk, "x")), "x");
});

rootTest("removing a volume follows no link out of it", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await create(test, { name: "data" });
  const victim = test.hostDirectory("victim");
  await Deno.writeTextFile(join(victim, "x"), "x");
  await Deno.symlink(victim, join(mountpoint, "link"));
  await test.runtime.volumes.remove("data", test.operation);
  assertEquals(await Deno.readTextFile(join(victim, "x")), "x");
});

rootTest("prune takes unused anonymous volumes, with all every unused one", async () => {
  await using test = await TestRuntime.withImage();
  const used = (await create(test)).name;
  const unused = (await create(test)).name;
  await create(test, { name: "named" });
  await test.create({ name: "c", mounts: [{ type: "volume", source: used, target: "/v" }] });
  const prune = (all: boolean) => test.runtime.volumes.prune({ all }, test.operation);
  assertEquals((await prune(false)).deleted, [unused]);
  assertEquals((await prune(true)).deleted, ["named"]);
  assertEquals((await prune(true)).deleted, []);
  assertEquals(test.runtime.volumes.list().map(({ name }) => name), [used]);
});

rootTest("creators, users and removers of one volume at the same time never see half of it", async () => {
  await using test = await TestRuntime.withImage();
  const mounts = [{ type: "volume" as const, source: "data", target: "/v" }];
  for (let round = 0; round < 10; round++) {
    await Promise.allSettled([
      create(test, { name: "data" }),
      test.runtime.volumes.remove("data", test.operation),
      test.create({ mounts }),
      test.runtime.volumes.prune({ all: true }, test.operation),
      create(test, { name: "data" }),
    ]);
    const volume = test.runtime.volumes.list().find(({ name }) => name === "data");
    const users = test.runtime.containers.list();
    assertEquals(volume?.used_by.length ?? 0, users.length);
    for (const { id } of users) await test.remove(id);
    assertEquals(await test.check(), []);
  }
});
