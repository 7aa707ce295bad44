import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { loopsOf } from "../../runtime/host/block_devices.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { effectiveCapabilities } from "../../runtime/host/host_facts.ts";
import { isMounted } from "../../runtime/host/mount_table.ts";
import { fill, placeOn } from "../claims/support/place.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { makeVolume, refused, withVolume } from "./support/volumes.ts";

rootTest("a size is enforced, shown, and grows while the volume is used", async () => {
  await using test = await TestRuntime.open();
  const made = await makeVolume(test, { name: "data", options: { size: "32m" } });
  assertEquals(made.usable, false);
  let pending = false;
  await withVolume(test, "data", async (path) => {
    assertEquals([...Deno.readDirSync(path)], [], "a fresh volume is empty");
    assertEquals((await Deno.stat(path)).mode! & 0o7777, 0o755);
    const { code, stderr } = await runCommand("dd", ["if=/dev/zero", `of=${path}/big`, "bs=1M", "count=64"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "No space left");
    const space = await test.runtime.volumes.space("data", test.operation);
    assertEquals(space.capacity_bytes, 32 << 20);
    assert(space.used_bytes > 16 << 20 && space.used_bytes <= 32 << 20, String(space.used_bytes));
    const grown = await test.runtime.volumes.resize("data", 96 << 20, test.operation);
    assertEquals(grown.options.size, String(96 << 20));
    pending = grown.pending;
    // Growing a mounted ext4 needs CAP_SYS_RESOURCE, which not every machine gives its tests.
    if (!pending) await commandOutput("dd", ["if=/dev/zero", `of=${path}/big`, "bs=1M", "count=64"]);
    const df = await test.runtime.system.diskUsage(test.operation);
    assertEquals(df.volumes.map(({ name, limit_bytes }) => [name, limit_bytes]), [["data", 96 << 20]]);
  });
  assertEquals(pending, !effectiveCapabilities().has("sys_resource"));
  await withVolume(test, "data", async (path) => {
    await commandOutput("dd", ["if=/dev/zero", `of=${path}/big`, "bs=1M", "count=64"]);
  });
  await refused(
    "INVALID_ARGUMENT",
    () => test.runtime.volumes.resize("data", 16 << 20, test.operation),
    "never shrink",
  );
  assertEquals(isMounted(made.mountpoint), false);
  assertEquals(loopsOf(join(test.root, "volumes/data/image")), []);
  assertEquals(await test.check(), []);
  await test.runtime.volumes.remove("data", test.operation);
  assertEquals([...Deno.readDirSync(join(test.root, "volumes"))], []);
});

rootTest(
  "on btrfs with quotas a size is enforced at the volume's subvolume, which grows while it is used",
  async () => {
    await using place = await placeOn("btrfs");
    await commandOutput("btrfs", ["quota", "enable", place.path]);
    await using test = await TestRuntime.openAt(join(place.path, "root"));
    const { mountpoint, usable } = await makeVolume(test, { name: "data", options: { size: "32m" } });
    assertEquals(usable, true, "nothing has to be mounted");
    const written = fill(join(mountpoint, "big"), 128 << 20);
    assert(written > 16 << 20 && written <= 40 << 20, String(written));
    assertEquals((await test.runtime.volumes.space("data", test.operation)).capacity_bytes, 32 << 20);
    assertEquals((await test.runtime.volumes.resize("data", 96 << 20, test.operation)).pending, false);
    const more = fill(join(mountpoint, "more"), 16 << 20);
    assertEquals(more, 16 << 20);
    await test.restart();
    assert(fill(join(mountpoint, "rest"), 256 << 20) <= 64 << 20, "the limit is there after a restart");
    assertEquals(await test.check(), []);
    await test.runtime.volumes.remove("data", test.operation);
    assertEquals([...Deno.readDirSync(join(test.root, "volumes"))], []);
  },
);

rootTest("a volume that grew without being mounted has all of it at its next use", async () => {
  await using test = await TestRuntime.open();
  await makeVolume(test, { name: "data", options: { size: "16m" } });
  await test.runtime.volumes.resize("data", 64 << 20, test.operation);
  await withVolume(test, "data", async (path) => {
    await commandOutput("dd", ["if=/dev/zero", `of=${path}/big`, "bs=1M", "count=40"]);
  });
});

rootTest("inodes are limited where that is asked for", async () => {
  await using test = await TestRuntime.open();
  await makeVolume(test, { name: "few", options: { size: "16m", inodes: "64" } });
  await withVolume(test, "few", async (path) => {
    const { code } = await runCommand("sh", ["-c", `cd "${path}" && for i in $(seq 200); do : > f$i || exit 1; done`]);
    assert(code !== 0);
  });
});

rootTest("what has a type and a device is mounted with its first user and unmounted with its last", async () => {
  await using test = await TestRuntime.open();
  const host = test.hostDirectory("shared");
  await Deno.writeTextFile(join(host, "x"), "host\n");
  const { mountpoint } = await makeVolume(test, {
    name: "bound",
    options: { type: "none", device: host, o: "bind" },
  });
  const { volumes } = test.runtime;
  assertEquals(isMounted(mountpoint), false);
  assertEquals(await volumes.mount("bound", "a", test.operation), mountpoint);
  await volumes.mount("bound", "b", test.operation);
  await volumes.mount("bound", "b", test.operation);
  assertEquals(await Deno.readTextFile(join(mountpoint, "x")), "host\n");
  assertEquals(volumes.inspect("bound").used_by, ["plugin a", "plugin b"]);
  assert(volumes.inspect("bound").usable);
  await refused("CONFLICT", () => volumes.remove("bound", test.operation), "plugin a");
  await volumes.unmount("bound", "a", test.operation);
  assert(isMounted(mountpoint));
  // Whoever had it has it after a restart, and only then it is unmounted with the last.
  await test.restart();
  assert(isMounted(mountpoint));
  assertEquals(test.runtime.volumes.inspect("bound").used_by, ["plugin b"]);
  await test.runtime.volumes.unmount("bound", "b", test.operation);
  await test.runtime.volumes.unmount("bound", "b", test.operation);
  assertEquals(isMounted(mountpoint), false);
  await test.runtime.volumes.remove("bound", test.operation);
  assertEquals(await Deno.readTextFile(join(host, "x")), "host\n");
});

rootTest("a volume in memory has its size and loses its data with its last user", async () => {
  await using test = await TestRuntime.open();
  await makeVolume(test, { name: "fast", options: { type: "tmpfs", device: "tmpfs", size: "8m", o: "mode=0700" } });
  await withVolume(test, "fast", async (path) => {
    await Deno.writeTextFile(join(path, "x"), "x");
    const space = await test.runtime.volumes.space("fast", test.operation);
    assertEquals(space.capacity_bytes, 8 << 20);
    const { code } = await runCommand("dd", ["if=/dev/zero", `of=${path}/big`, "bs=1M", "count=16"]);
    assertEquals(code, 1);
  });
  await withVolume(test, "fast", (path) => Promise.resolve(assertEquals([...Deno.readDirSync(path)], [])));
});

rootTest("what cannot be mounted says why, and leaves nothing mounted and nobody using it", async () => {
  await using test = await TestRuntime.open();
  const file = join(test.scratch.path, "not-a-disk");
  await Deno.writeTextFile(file, "x".repeat(4096));
  const cases: Array<[string, Record<string, string>, string]> = [
    ["gone", { type: "none", device: join(test.scratch.path, "absent"), o: "bind" }, "NOT_FOUND"],
    ["nodev", { type: "ext4", device: "/dev/does-not-exist" }, "NOT_FOUND"],
    ["unknown", { type: "nosuchfs", device: "none" }, "UNSUPPORTED"],
    ["noname", { type: "nfs", device: ":/x", o: "addr=host.invalid" }, "NOT_FOUND"],
  ];
  for (const [name, options, code] of cases) {
    const { mountpoint } = await makeVolume(test, { name, options });
    const error = await test.runtime.volumes.mount(name, "a", test.operation).then(
      () => undefined,
      (error) => error,
    );
    assert(error !== undefined, name);
    assert([code, "UNAVAILABLE", "INVALID_ARGUMENT"].includes(error.code), `${name}: ${error.code} ${error.message}`);
    assertStringIncludes(error.message, `"${name}"`);
    assertEquals(isMounted(mountpoint), false);
    assertEquals(test.runtime.volumes.inspect(name).used_by, []);
    await test.runtime.volumes.remove(name, test.operation);
  }
  assertEquals(await test.check(), []);
});

rootTest("a mount that nobody has, left by a crash, is found, told and taken away", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await makeVolume(test, { name: "tm", options: { type: "tmpfs", device: "tmpfs" } });
  await commandOutput("mount", ["-t", "tmpfs", "tmpfs", mountpoint]);
  assertEquals(await test.check(), ["unwanted-mount volume tm"]);
  assertEquals(await test.check({ repair: true }), ["unwanted-mount volume tm repaired"]);
  assertEquals(isMounted(mountpoint), false);
  await commandOutput("mount", ["-t", "tmpfs", "tmpfs", mountpoint]);
  await test.restart();
  assertEquals(isMounted(mountpoint), false);
});
