/** Volumes that have to be mounted, in containers: the volume manager mounts them, shows them and keeps them. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { Store } from "../../runtime/store/store.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { makeVolume } from "../volume/support/volumes.ts";
import { eventually } from "../manager/support/real_manager.ts";

const memory = { type: "tmpfs", device: "tmpfs" };

/** Containers with the volume `mem` at `/mem`. */
async function containersWithMemory(test: TestRuntime, ...names: string[]): Promise<void> {
  await makeVolume(test, { name: "mem", options: memory });
  for (const name of names) {
    await test.create({ name, mounts: [{ type: "volume", source: "mem", target: "/mem", no_copy: true }] });
  }
}

const isMounted = (path: string) => mountAtTarget(readMountTable(), path) !== undefined;
const placeOf = (test: TestRuntime) => test.runtime.volumes.inspect("mem").mountpoint;

rootTest("a volume is mounted with its first container and goes with its last, in everybody's sight", async () => {
  await using test = await TestRuntime.withImage();
  const { operations, volumes, system } = test.runtime;
  const seen: string[] = [];
  const listening = new AbortController();
  const told = (async () => {
    for await (const { kind, action, id } of system.events({}, listening.signal)) {
      if (kind === "volume") seen.push(`${action} ${id}`);
    }
  })().catch(() => {});
  await containersWithMemory(test, "one", "two");
  const one = await test.mount("one"), two = await test.mount("two");
  await Deno.writeTextFile(join(one.rootfs, "mem/file"), "shared\n");
  assertEquals(await Deno.readTextFile(join(two.rootfs, "mem/file")), "shared\n");
  assertEquals(
    operations.volumesInUse().map(({ workload, volume, plugin, state, path }) =>
      [workload.kind, workload.uid, volume, plugin, state, path].join(" ")
    ).sort(),
    [one.id, two.id].map((id) => `container ${id} mem lamina.dev/named-volume Mounted ${placeOf(test)}`).sort(),
  );
  assertStringIncludes(
    operations.metrics(),
    'storage_operation_duration_seconds_count{migrated="false",operation_name="mount_device",status="success",' +
      'volume_plugin="lamina.dev/named-volume"} 1',
  );
  assertEquals(volumes.inspect("mem").used_by, ["one", "two"]);
  await test.unmount("one");
  assert(isMounted(placeOf(test)));
  await test.unmount("two");
  assert(!isMounted(placeOf(test)));
  assertEquals(operations.volumesInUse(), []);
  assertEquals(operations.list(), []);
  await eventually("the events are told", () => seen.filter((line) => line === "unmount mem").length === 2);
  assertEquals(seen.filter((line) => line.startsWith("mount")), ["mount mem", "mount mem"]);
  listening.abort();
  await told;
  assertEquals(await test.check(), []);
});

rootTest("a volume in memory that somebody unmounts comes back from the containers that have it", async () => {
  await using test = await TestRuntime.withImage();
  await containersWithMemory(test, "one", "two", "three");
  const { rootfs } = await test.mount("one");
  await Deno.writeTextFile(join(rootfs, "mem/file"), "kept\n");
  await commandOutput("umount", [placeOf(test)]);
  // At once, before anybody can have looked.
  const two = await test.mount("two");
  assertEquals(await Deno.readTextFile(join(two.rootfs, "mem/file")), "kept\n");
  // And by itself.
  await eventually("it is whole again", () => test.runtime.operations.list().length === 0);
  await commandOutput("umount", [placeOf(test)]);
  await eventually("it is mounted again", () => isMounted(placeOf(test)));
  assertEquals(await Deno.readTextFile(join(placeOf(test), "file")), "kept\n");
  const three = await test.mount("three");
  await Deno.writeTextFile(join(three.rootfs, "mem/more"), "seen by all\n");
  assertEquals(await Deno.readTextFile(join(rootfs, "mem/more")), "seen by all\n");
  for (const name of ["one", "two", "three"]) await test.unmount(name);
  assert(!isMounted(placeOf(test)));
  assertEquals(await test.check(), []);
});

rootTest(
  "what containers have of such a volume by a subpath is in the new one, and theirs is the new one",
  async () => {
    await using test = await TestRuntime.withImage();
    await makeVolume(test, { name: "mem", options: memory });
    const path = await test.runtime.volumes.mount("mem", "somebody", test.operation);
    await Deno.mkdir(join(path, "part"));
    await Deno.writeTextFile(join(path, "part/file"), "kept\n");
    const mounts = [{ type: "volume" as const, source: "mem", target: "/part", subpath: "part", no_copy: true }];
    await test.create({ name: "one", mounts });
    const { rootfs } = await test.mount("one");
    await commandOutput("umount", [path]);
    await eventually("the volume is there again", () => isMounted(path));
    const deviceOf = (target: string) => mountAtTarget(readMountTable(), target)?.device;
    await eventually("the container has it", () => deviceOf(join(rootfs, "part")) === deviceOf(path));
    assertEquals(await Deno.readTextFile(join(rootfs, "part/file")), "kept\n");
    assertEquals(await Deno.readTextFile(join(path, "part/file")), "kept\n");
    await test.unmount("one");
    await test.runtime.volumes.unmount("mem", "somebody", test.operation);
    assertEquals(await test.check(), []);
  },
);

rootTest("a start finds what containers have mounted, and unmounts what nobody has any more", async () => {
  await using test = await TestRuntime.withImage();
  await containersWithMemory(test, "one");
  await makeVolume(test, { name: "left", options: memory });
  const { rootfs } = await test.mount("one");
  await Deno.writeTextFile(join(rootfs, "mem/file"), "kept\n");
  const left = await test.runtime.volumes.mount("left", "somebody", test.operation);
  await test.runtime[Symbol.asyncDispose]();
  assert(isMounted(left));
  {
    // As a crash leaves it that came before the mount had its user.
    using store = new Store(join(test.root, "lamina.db"));
    await store.write((tx) => tx.run("DELETE FROM volume_users"));
  }
  await test.reopen();
  await eventually("what nobody has is unmounted", () => !isMounted(left));
  assertEquals(await Deno.readTextFile(join(placeOf(test), "file")), "kept\n");
  await test.runtime.volumes.remove("left", test.operation);
  await test.unmount("one");
  assert(!isMounted(placeOf(test)));
  assertEquals(await test.check(), []);
});

rootTest("a volume that cannot be mounted fails its container at once, says why, and leaves nothing", async () => {
  await using test = await TestRuntime.withImage();
  await makeVolume(test, { name: "bad", options: { type: "ext4", device: "/dev/nothing-here" } });
  await makeVolume(test, { name: "mem", options: memory });
  const mounts = ["bad", "mem"].map((name) => ({
    type: "volume" as const,
    source: name,
    target: `/${name}`,
    no_copy: true,
  }));
  await test.create({ name: "c", mounts });
  const error = await assertRejects(() => test.mount("c"), LaminaError, 'Cannot mount volume "bad"');
  assertEquals(error.code, "NOT_FOUND", error.message);
  assert(!isMounted(placeOf(test)));
  assertEquals(test.runtime.operations.volumesInUse(), []);
  assertEquals(test.runtime.operations.list(), []);
  await test.remove("c");
  for (const name of ["bad", "mem"]) await test.runtime.volumes.remove(name, test.operation);
  assertEquals(await test.check(), []);
});

rootTest("a volume that is busy on the host stays mounted after its container, and goes by itself", async () => {
  await using test = await TestRuntime.withImage();
  await containersWithMemory(test, "one");
  await test.mount("one");
  const place = placeOf(test);
  const busy = new Deno.Command("sleep", { args: ["600"], cwd: place, stdin: "null" }).spawn();
  try {
    await test.unmount("one");
    assert(isMounted(place));
    const [operation] = test.runtime.operations.list();
    assertEquals([operation?.name, operation?.key], ["unmount_device", "lamina.dev/named-volume mem"]);
    assertEquals(await test.check(), ["unwanted-mount volume mem"]);
    await test.remove("one");
    await assertRejects(
      () => test.runtime.volumes.remove("mem", test.operation),
      LaminaError,
      "it is in use by process",
    );
  } finally {
    busy.kill("SIGKILL");
    await busy.status;
  }
  await eventually("it is unmounted", () => !isMounted(place), 150_000);
  await eventually("and forgotten", () => test.runtime.operations.list().length === 0);
  assertEquals(await test.check(), []);
});
