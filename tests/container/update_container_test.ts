import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { otherFileSystem } from "../contract/support/other_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

const MIB = 1 << 20;

async function refused(body: () => Promise<unknown>, code: string): Promise<string> {
  const error = await assertRejects(body, LaminaError);
  assertEquals(error.code, code, error.message);
  return error.message;
}

rootTest("a container that is full and mounted gets more room, and keeps it through a restart", async () => {
  await using fs = await otherFileSystem("btrfs");
  assert(fs !== undefined, "a btrfs can be made and mounted");
  await using test = await TestRuntime.openAt(join(fs.path, "root"), {
    storageDriver: "btrfs",
    storageOptions: { "btrfs.quota": "on" },
  });
  await test.importImage(SMALL_IMAGE, [{ "etc/": "" }]);
  await test.create({ name: "c", storage_options: { size: "8m" } });
  const { rootfs } = await test.mount("c");
  const fill = (megabytes: number) =>
    runCommand("sh", ["-c", `head -c ${megabytes}M /dev/urandom > '${rootfs}/file' && sync -f '${rootfs}'`]);
  assertMatch((await fill(20)).stderr, /quota/i);
  const { containers } = test.runtime;
  const updated = await containers.update("c", { storage_options: { size: "64m" } }, test.operation);
  assertEquals([updated.storage_options, updated.mounted], [{ size: "64m" }, true]);
  assertEquals(containers.list()[0]!.storage_options, { size: "64m" });
  assertEquals((await fill(20)).code, 0);
  const less = () => containers.update("c", { storage_options: { size: "1m" } }, test.operation);
  assertMatch(await refused(less, "INVALID_ARGUMENT"), /already/);
  await test.restart();
  const found = await test.runtime.containers.inspect("c", { size: false }, test.operation);
  assertEquals(found.storage_options, { size: "64m" });
  const { containers: [line] } = await test.runtime.system.diskUsage(test.operation);
  assertEquals(line!.limit_bytes, 64 * MIB);
  await test.unmount("c");
});

rootTest("what cannot be changed, or not be enforced, is refused and changes nothing", async () => {
  await using test = await TestRuntime.withImage({ storageDriver: "overlay" });
  await test.create({ name: "c" });
  const update = (storage_options: Record<string, string>) => () =>
    test.runtime.containers.update("c", { storage_options }, test.operation);
  assertMatch(await refused(update({}), "INVALID_ARGUMENT"), /nothing is to be changed/);
  assertMatch(await refused(update({ inodes: "5k" }), "INVALID_ARGUMENT"), /"inodes" cannot be changed/);
  assertMatch(await refused(update({ size: "much" }), "INVALID_ARGUMENT"), /size=much/);
  assertMatch(await refused(update({ size: "1g" }), "UNSUPPORTED"), /Cannot update container "c" with size=1g/);
  await refused(() => test.runtime.containers.update("absent", {}, test.operation), "NOT_FOUND");
  assertEquals(test.runtime.containers.list()[0]!.storage_options, {});
});
