/** The parts of the contract that a file system can get wrong, on thin devices with xfs. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { changeCases } from "../contract/change_cases.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { keyOf } from "../contract/support/driver_fixture.ts";
import { rootTest } from "../support/scratch.ts";
import { poolFixture, writeNoise } from "./support/pool_fixture.ts";

const xfs = { fs: "xfs", base_size: "320m", loop_size: "1g" };
const MIB = 1 << 20;

rootTest("devicemapper keeps the contract of changes on xfs", async (t) => {
  for (const { name, run } of changeCases) {
    await t.step(name, async () => {
      await using f = await poolFixture(xfs);
      await run(f);
    });
  }
});

rootTest("snapshots of one xfs are mounted beside each other, grow, and cannot be made smaller", async () => {
  await using f = await poolFixture(xfs);
  await f.layer("base", undefined, (root) => writeNoise(`${root}/image`, 3));
  await f.prepare("a", "base");
  await f.driver.prepare(keyOf("b"), keyOf("base"), { size_bytes: 400 * MIB }, f.operation);
  await f.edit("a", (a) =>
    f.edit("b", async (b) => {
      await Deno.writeTextFile(`${a}/mine`, "a");
      await Deno.writeTextFile(`${b}/mine`, "b");
      assertEquals([await Deno.readTextFile(`${a}/mine`), await Deno.readTextFile(`${b}/mine`)], ["a", "b"]);
      assert(fileSystemStatus(b).available_bytes > 350 * MIB);
      assert(fileSystemStatus(a).available_bytes < 320 * MIB);
    }));
  const error = await assertFails(
    "UNSUPPORTED",
    () => f.driver.prepare(keyOf("c"), keyOf("base"), { size_bytes: 8 * MIB }, f.operation),
  );
  assertStringIncludes(error.message, "devicemapper.fs=ext4");
  await f.commit("layer", "b");
  await f.driver[Symbol.asyncDispose]();
  await f.restart();
  await f.look("layer", async (root) => assertEquals(await Deno.readTextFile(`${root}/mine`), "b"));
  await f.driver.cleanup(f.operation);
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});
