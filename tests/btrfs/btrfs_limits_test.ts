import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { commandOutput } from "../../runtime/host/command.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { directoryOf } from "../contract/support/backing.ts";
import { type DriverFixture, keyOf } from "../contract/support/driver_fixture.ts";
import { shell } from "../contract/tree_cases.ts";
import { btrfsTest, freed } from "./support.ts";

const MIB = 1 << 20;

for (const quota of ["on", "simple"] as const) {
  btrfsTest(
    `with quota=${quota} a container writes up to its size, whatever its image takes`,
    async (f, mountPoint) => {
      await f.layer("base", undefined, (root) => shell(root, "head -c 40M /dev/urandom > image").then());
      await f.driver.prepare(keyOf("work"), keyOf("base"), { size_bytes: 16 * MIB }, f.operation);
      assertEquals((await f.stat("work")).limit_bytes, 16 * MIB);
      await f.edit("work", async (root) => {
        await shell(root, "head -c 8M /dev/urandom > fits; sync -f .");
        assertMatch(await tooMuch(root), /quota/i);
      });
      await f.driver.setLimit(keyOf("work"), 64 * MIB, f.operation);
      await f.edit("work", (root) => shell(root, "head -c 30M /dev/urandom > more; sync -f .").then());
      const error = await assertFails("INVALID_ARGUMENT", () => f.driver.setLimit(keyOf("work"), MIB, f.operation));
      assertStringIncludes(error.message, "already");
      // What the file system forgets, check and the next start put back.
      await commandOutput("btrfs", ["qgroup", "limit", "-e", "none", `${directoryOf(f, f.idOf("work"))}/fs`]);
      await commandOutput("sync", ["-f", mountPoint]);
      const [found] = await f.driver.check({ repair: true }, f.operation);
      assertEquals([found?.kind, found?.repairable], ["missing-limit", true]);
      assertEquals(await f.driver.check({ repair: false }, f.operation), []);
      await f.edit("work", async (root) => assertMatch(await tooMuch(root), /quota/i));
      await f.remove("work");
      await noGroupsLeft(f, mountPoint);
    },
    { quota },
  );
}

btrfsTest("the limit of a container is not that of what is made of it", async (f) => {
  await f.driver.prepare(keyOf("work"), undefined, { size_bytes: 8 * MIB }, f.operation);
  await f.edit("work", (root) => shell(root, "head -c 4M /dev/urandom > x").then());
  await f.commit("layer", "work");
  assertEquals((await f.stat("layer")).limit_bytes, undefined);
  await f.prepare("child", "layer");
  await f.edit("child", (root) => shell(root, "head -c 20M /dev/urandom > y; sync -f .").then());
}, { quota: "on" });

btrfsTest("quotas that are on in another way are not changed", async (f) => {
  const setup = { ...f.setup, options: { "btrfs.quota": "simple" } };
  const context = { directory: f.directory, store: f.store, engine: undefined!, mounter: setup.mounter };
  const error = await assertFails(
    "CONFLICT",
    () => setup.factory.open({ ...context, options: setup.options }, f.operation),
  );
  assertStringIncludes(error.message, "btrfs.quota=on");
}, { quota: "on" });

async function tooMuch(root: string): Promise<string> {
  return await shell(
    root,
    "if dd if=/dev/urandom of=over bs=1M count=200 conv=fsync 2> /tmp/over.$$; then exit 1; fi; cat /tmp/over.$$; rm -f /tmp/over.$$ over",
  );
}

async function noGroupsLeft(f: DriverFixture, mountPoint: string): Promise<void> {
  await f.driver.cleanup(f.operation);
  await freed(mountPoint);
  await f.prepare("short");
  await f.remove("short");
  await f.driver.cleanup(f.operation);
  const groups = (await commandOutput("btrfs", ["qgroup", "show", mountPoint])).match(/^0\/\d+/gm) ?? [];
  // The top, the image's layer, and at most the one that is just being freed.
  assert(groups.length <= 3, groups.join(" "));
}
