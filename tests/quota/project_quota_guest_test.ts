import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { listProjects, projectOf, projectUsage, setProjectLimit } from "../../runtime/host/project_quota.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { DriverFixture, keyOf } from "../contract/support/driver_fixture.ts";
import { rootTest, testOperation } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { quotaFileSystem } from "./support/quota_file_system.ts";

const MIB = 2 ** 20;
const operation = testOperation();

function limited(fixture: DriverFixture, key: string, size_bytes?: number, inodes?: number, parent?: string) {
  const parentKey = parent === undefined ? undefined : keyOf(parent);
  return fixture.driver.prepare(keyOf(key), parentKey, { size_bytes, inodes }, operation);
}

/** How much of `wanted_bytes` can be written to a new file. */
function fill(path: string, wanted_bytes: number): number {
  const piece = new Uint8Array(256 * 1024);
  let written = 0;
  try {
    using file = Deno.openSync(path, { write: true, createNew: true });
    while (written < wanted_bytes) written += file.writeSync(piece);
    // xfs and ext4 find out at the latest when they give blocks to what was written.
    file.syncSync();
  } catch (error) {
    assertMatch(String(error), /quota|no space|os error (122|28)/i);
  }
  return written;
}

function makeFiles(directory: string, count: number): number {
  for (let made = 0; made < count; made++) {
    try {
      Deno.writeTextFileSync(join(directory, `f${made}`), "");
    } catch (error) {
      assertMatch(String(error), /quota|no space|os error (122|28)/i);
      return made;
    }
  }
  return count;
}

function limits(directory: string): number[] {
  return [...listProjects(directory, 0x4000_0000, 0x7fff_ffff)]
    .filter(({ limit_bytes, limit_inodes }) => limit_bytes + limit_inodes > 0)
    .map(({ projectId }) => projectId);
}

for (
  const [type, factory] of [["xfs", overlayFactory], ["ext4", overlayFactory], ["xfs", vfsFactory]] as const
) {
  rootTest(`${factory.name} on ${type} holds containers to their space and inodes`, async () => {
    await using fs = await quotaFileSystem(type);
    await using fixture = await DriverFixture.create({ factory, mounter: new LibcMounter(), base: fs.path });
    assertEquals([fixture.driver.capabilities.quota, fixture.driver.capabilities.inodeQuota], [true, true]);
    assertStringIncludes(fixture.driver.status.quota!, `project quotas of ${type}`);
    await fixture.layer("base", undefined, (root) => Deno.writeTextFile(join(root, "below"), "x"));

    const other = await fixture.prepare("free", "base");
    const space = await limited(fixture, "space", 8 * MIB, undefined, "base");
    await fixture.mounted(space, (root) => {
      const written = fill(join(root, "big"), 16 * MIB);
      assert(written > 6 * MIB && written < 10 * MIB, `${written} bytes`);
    });
    // Nobody else is limited.
    await fixture.mounted(other, (root) => assertEquals(fill(join(root, "big"), 16 * MIB), 16 * MIB));

    const counted = await limited(fixture, "counted", undefined, 60, "base");
    await fixture.mounted(counted, (root) => {
      const made = makeFiles(root, 100);
      assert(made > 40 && made <= 60, `${made} files`);
    });
    assertEquals((await fixture.stat("counted")).limit_inodes, 60);

    // After the next start it holds; a larger one lets more in.
    await fixture.driver[Symbol.asyncDispose]();
    await fixture.restart();
    assertEquals(await fixture.driver.check({ repair: false }, operation), []);
    await fixture.edit("space", (root) => {
      const written = fill(join(root, "more"), 4 * MIB);
      assert(written < 3 * MIB, `${written} bytes more`);
    });
    assertEquals((await fixture.stat("space")).limit_bytes, 8 * MIB);
    const smaller = await assertRejects(
      () => fixture.driver.setLimit(keyOf("space"), MIB, operation),
      LaminaError,
    );
    assertEquals(smaller.code, "INVALID_ARGUMENT");
    await fixture.driver.setLimit(keyOf("space"), 32 * MIB, operation);
    await fixture.edit("space", (root) => assertEquals(fill(join(root, "grown"), 4 * MIB), 4 * MIB));

    // What a full container is lent for its mount comes back.
    const full = (await limited(fixture, "full", 4 * MIB)).map((mount) => mount);
    await fixture.mounted(full, (root) => void fill(join(root, "big"), 8 * MIB));
    await fixture.edit("full", (root) => Deno.removeSync(join(root, "big")));
    await fixture.remove("full");

    // A layer has no limit, and what is removed leaves none.
    assertEquals(limits(fs.path).length, 2);
    await fixture.commit("layer", "space");
    assertEquals(limits(fs.path).length, 1);
    await fixture.remove("counted");
    assertEquals(limits(fs.path), []);
    await fixture.driver.cleanup(operation);
    await fixture.driver.setLimit(keyOf("free"), 32 * MIB, operation).then(
      () => assert(false, "a snapshot without a project was limited"),
      (error) => assertEquals((error as LaminaError).code, "UNSUPPORTED"),
    );
  });
}

rootTest("a limit that nobody has is found and taken away; one that was changed is put back", async () => {
  await using fs = await quotaFileSystem("xfs");
  await using fixture = await DriverFixture.create({
    factory: overlayFactory,
    mounter: new LibcMounter(),
    base: fs.path,
  });
  await limited(fixture, "c", 8 * MIB);
  const tree = (await fixture.driver.mounts(keyOf("c")))[0]!.options.find((option) => option.startsWith("upperdir="))
    ?.slice("upperdir=".length) ?? (await fixture.driver.mounts(keyOf("c")))[0]!.source;
  const { projectId, inherited } = projectOf(tree);
  assert(inherited);
  setProjectLimit(fs.path, projectId, { limit_bytes: 0, limit_inodes: 0 });
  setProjectLimit(fs.path, projectId + 5, { limit_bytes: MIB, limit_inodes: 0 });
  const kinds = async (repair: boolean) =>
    (await fixture.driver.check({ repair }, operation)).map(({ kind, repairable }) => `${kind} ${repairable}`);
  assertEquals(await kinds(true), ["missing-limit true", "stale-limit true"]);
  assertEquals(await kinds(false), []);
  assertEquals(projectUsage(fs.path, projectId).limit_bytes, 8 * MIB);
  // The next start does the same.
  setProjectLimit(fs.path, projectId, { limit_bytes: 0, limit_inodes: 0 });
  setProjectLimit(fs.path, projectId + 5, { limit_bytes: MIB, limit_inodes: 0 });
  await fixture.driver[Symbol.asyncDispose]();
  await fixture.restart();
  assertEquals(limits(fs.path), [projectId]);
  assertEquals(projectUsage(fs.path, projectId).limit_bytes, 8 * MIB);
});

rootTest("file systems that do not hold to limits are told apart, and refuse them", async () => {
  for (
    const [type, options, factory, why] of [
      ["ext4", "noquota", overlayFactory, /counts the use of projects but is mounted without limits/],
      ["xfs", "noquota", overlayFactory, /mounted without project quotas/],
      ["ext4", "prjquota", vfsFactory, /lets root write past/],
    ] as const
  ) {
    await using fs = await quotaFileSystem(type, options);
    await using fixture = await DriverFixture.create({ factory, mounter: new LibcMounter(), base: fs.path });
    assertEquals(fixture.driver.capabilities.quota, false, `${factory.name} ${type} ${options}`);
    assertMatch(fixture.driver.status.quota!, why);
    const error = await assertRejects(() => limited(fixture, "c", MIB), LaminaError);
    assertEquals(error.code, "UNSUPPORTED");
    assertMatch(error.message, why);
    assertEquals((await assertRejects(() => limited(fixture, "c", undefined, 5), LaminaError)).code, "UNSUPPORTED");
  }
});

rootTest("df tells what a container takes and may take, the doctor that there are limits", async () => {
  await using fs = await quotaFileSystem("xfs");
  await using test = await TestRuntime.openAt(join(fs.path, "root"), { mounter: "libc" });
  await test.importImage("small:1", [{ "etc/motd": "hello\n" }]);
  await test.create({ name: "c", storage_options: { size: "10m", inodes: "1k" } });
  const { rootfs } = await test.mount("c");
  await Deno.writeFile(join(rootfs, "rw"), new Uint8Array(200_000));
  await test.restart();
  const { containers } = await test.runtime.system.diskUsage(test.operation);
  assertEquals([containers[0]!.limit_bytes, containers[0]!.limit_inodes], [10 * MIB, 1000]);
  assert(containers[0]!.rw_bytes >= 200_000);
  const doctor = await test.runtime.system.doctor(test.operation);
  const overlay = doctor.find(({ subject }) => subject === "storage driver overlay");
  assertStringIncludes(overlay!.found, "project quotas of xfs");
  // A reboot.
  await test.unmount("c");
  await test.runtime[Symbol.asyncDispose]();
  await fs.remount();
  await test.reopen();
  assertEquals(await test.check(), []);
  assertEquals(limits(fs.path).length, 1);
  await test.mount("c");
  assert(fill(join(rootfs, "big"), 16 * MIB) < 11 * MIB);
  await test.unmount("c");
  await test.remove("c");
  assertEquals(await test.check(), []);
  assertEquals(limits(fs.path), []);
});

rootTest("a named volume of a size is a directory with a limit, which grows and stays over a reboot", async () => {
  await using fs = await quotaFileSystem("xfs");
  await using test = await TestRuntime.openAt(join(fs.path, "root"), { mounter: "libc" });
  const make = (name: string, options: Record<string, string>) =>
    test.runtime.volumes.create({ name, options }, test.operation);
  const { mountpoint, usable } = await make("data", { size: "16m" });
  assertEquals(usable, true, "nothing has to be mounted");
  const written = fill(join(mountpoint, "big"), 32 * MIB);
  assert(written > 12 * MIB && written <= 17 * MIB, `${written} bytes`);
  const few = await make("few", { size: "16m", inodes: "40" });
  const made = makeFiles(few.mountpoint, 100);
  assert(made > 30 && made <= 40, `${made} files`);
  assertEquals(fill(join((await make("free", {})).mountpoint, "big"), 32 * MIB), 32 * MIB, "nobody else is limited");
  assertEquals((await test.runtime.volumes.space("data", test.operation)).capacity_bytes, 16 * MIB);
  const { pending, options } = await test.runtime.volumes.resize("data", 48 * MIB, test.operation);
  assertEquals([pending, options.size], [false, String(48 * MIB)]);
  assertEquals(fill(join(mountpoint, "more"), 8 * MIB), 8 * MIB);
  // A restore has the limit, too: an archive that is too large changes nothing.
  const large = await test.runtime.volumes.backup("free", { compression: "none" }, test.operation);
  const refused = await assertRejects(
    () => test.runtime.volumes.restore("few", large.stream, { force: true }, test.operation),
    LaminaError,
  );
  assertEquals(refused.code, "RESOURCE_EXHAUSTED", refused.message);
  assertEquals([...Deno.readDirSync(few.mountpoint)].length, made);
  await test.runtime[Symbol.asyncDispose]();
  await fs.remount();
  await test.reopen();
  assert(fill(join(mountpoint, "rest"), 64 * MIB) < 27 * MIB, "the limit is there after a reboot");
  for (const name of ["data", "few", "free"]) await test.runtime.volumes.remove(name, test.operation);
  assertEquals(limits(fs.path), []);
  assertEquals(await test.check(), []);
});
