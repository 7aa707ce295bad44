import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { DatabaseSync } from "node:sqlite";
import { STORAGE_DRIVER_NAMES } from "../../drivers/storage/port.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

rootTest("a volume's directory without a row is reported, adopted on repair, and never deleted", async () => {
  await using test = await TestRuntime.open();
  const data = join(test.root, "volumes/found/_data");
  await Deno.mkdir(data, { recursive: true });
  await Deno.writeTextFile(join(data, "x"), "precious");
  await Deno.writeTextFile(join(test.root, "volumes/stray-file"), "");
  assertEquals(await test.check(), ["unknown-volume ROOT/volumes/found", "unknown-file ROOT/volumes/stray-file"]);
  await test.restart();
  assertEquals(await Deno.readTextFile(join(data, "x")), "precious");
  assertStringIncludes((await test.check({ repair: true }))[0]!, "repaired");
  assertEquals(test.runtime.volumes.inspect("found").mountpoint, data);
  assertEquals(await Deno.readTextFile(join(data, "x")), "precious");
  assertEquals(await test.check(), ["unknown-file ROOT/volumes/stray-file"]);
});

rootTest("a volume that lost its directory is reported, and gets an empty one on repair", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await Deno.remove(join(test.root, "volumes/data"), { recursive: true });
  assertEquals(await test.check(), ["missing-volume volume data"]);
  await test.check({ repair: true });
  await test.mount("c");
  assertEquals(await test.check(), []);
});

rootTest("mounts, directories, recipes and leftovers that nobody owns are found and taken away", async () => {
  await using test = await TestRuntime.withImage();
  const stray = join(test.root, "containers", "f".repeat(64), "rootfs");
  await Deno.mkdir(stray, { recursive: true });
  await commandOutput("mount", ["-t", "tmpfs", "stray", stray]);
  await Deno.mkdir(join(test.root, "containers/other"));
  await Deno.mkdir(join(test.root, "staging/left/deep"), { recursive: true });
  await commandOutput("mount", ["-t", "tmpfs", "left", join(test.root, "staging/left/deep")]);
  await Deno.writeTextFile(join(test.root, "trash/left"), "");
  await Deno.writeTextFile(join(test.root, "recipes", "0".repeat(64)), "");
  await Deno.mkdir(join(test.root, "drivers/overlay/l/zz/fs"), { recursive: true });
  const kinds = (await test.check()).map((line) => line.split(" ")[0]).sort();
  assertEquals(kinds, [
    "leftover",
    "leftover",
    "orphan-directory",
    "orphan-directory",
    "orphan-directory",
    "orphan-recipe",
    "stray-mount",
  ]);
  for (const line of await test.check({ repair: true })) assertStringIncludes(line, "repaired");
  assertEquals(await test.check(), []);
});

rootTest("the next start takes the same away by itself", async () => {
  await using test = await TestRuntime.withImage();
  const stray = join(test.root, "containers", "f".repeat(64), "rootfs");
  await Deno.mkdir(stray, { recursive: true });
  await commandOutput("mount", ["-t", "tmpfs", "stray", stray]);
  await Deno.mkdir(join(test.root, "staging/left"), { recursive: true });
  await commandOutput("mount", ["-t", "tmpfs", "left", join(test.root, "staging/left")]);
  await test.restart();
  assertEquals(await test.check(), []);
});

rootTest("a container whose RW layer is gone is reported and can be removed", async () => {
  await using test = await TestRuntime.withImage();
  const { id } = await test.create({ name: "c" });
  await test.runtime[Symbol.asyncDispose]();
  const db = new DatabaseSync(join(test.root, "lamina.db"));
  db.exec(`DELETE FROM snapshots WHERE key = 'container/${id}'`);
  db.close();
  await test.reopen();
  assertEquals(await test.check(), ["missing-snapshot container c"]);
  await test.remove("c");
  assertEquals(await test.check(), []);
});

rootTest("a deep check finds a changed byte in a layer", async () => {
  await using test = await TestRuntime.withImage();
  assertEquals(await test.check({ deep: true }), []);
  const found = await commandOutput("find", [join(test.root, "drivers"), "-name", "motd"]);
  await Deno.writeTextFile(found.trim(), "hellO\n");
  assertEquals(await test.check(), []);
  const [finding, ...others] = await test.check({ deep: true });
  assertEquals(others, []);
  assertStringIncludes(finding!, "damaged-layer layer sha256:");
});

rootTest("df tells who takes how much, gc frees what nothing needs, info counts", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  await Deno.writeFile(join(rootfs, "rw"), new Uint8Array(200_000));
  await Deno.writeFile(join(rootfs, "v/volume"), new Uint8Array(300_000));
  await commandOutput("sync", ["-f", rootfs]);
  const usage = await test.runtime.system.diskUsage(test.operation);
  assert(usage.containers[0]!.rw_bytes >= 200_000);
  assert(usage.volumes[0]!.size_bytes >= 300_000);
  assertEquals(usage.volumes[0]!.used_by, 1);
  assertEquals(usage.images[0]!.references, [SMALL_IMAGE]);
  assert(usage.filesystem.available_bytes > 0 && usage.layers_bytes > 0);
  assertEquals(usage.reclaimable_bytes, 0);
  const info = test.runtime.system.info();
  assertEquals([info.containers, info.mounted_containers, info.images, info.layers, info.volumes], [1, 1, 1, 2, 1]);
  const { deleted } = await test.runtime.system.collectGarbage(test.operation);
  assertEquals(deleted, []);
});

rootTest("the doctor answers for the kernel, the disk, mount(8) and every storage driver", async () => {
  await using test = await TestRuntime.open();
  const items = await test.runtime.system.doctor(test.operation);
  for (const subject of ["kernel", "privileges", "disk", "mount(8)", "storage driver overlay", "storage driver vfs"]) {
    assertEquals(items.find((item) => item.subject === subject)?.status, "ok", subject);
  }
  // Each driver that does not work here says why, and what would make it work.
  for (const name of STORAGE_DRIVER_NAMES) {
    const { status, found, advice } = items.find((item) => item.subject === `storage driver ${name}`)!;
    assert(found !== "", name);
    if (status === "ok") continue;
    assertMatch(advice ?? "", /modprobe|apt-get install|put the root/, `${name}: ${found}`);
  }
  assertEquals(await test.check(), []);
});
