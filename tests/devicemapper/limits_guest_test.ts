/** Sizes of containers, and what happens before and when a pool is full. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { type DriverFixture, keyOf } from "../contract/support/driver_fixture.ts";
import { rootTest } from "../support/scratch.ts";
import { poolFixture, writeNoise } from "./support/pool_fixture.ts";

const MIB = 1 << 20;

const prepare = (f: DriverFixture, key: string, parent: string | undefined, size_bytes: number) =>
  f.driver.prepare(keyOf(key), parent === undefined ? undefined : keyOf(parent), { size_bytes }, f.operation);

rootTest(
  "a size below that of the base is enforced with ENOSPC, grows while mounted, and touches nobody else",
  async () => {
    await using f = await poolFixture();
    await f.layer("base", undefined, (root) => writeNoise(`${root}/image`, 10));
    await prepare(f, "small", "base", 8 * MIB);
    await f.prepare("other", "base");
    await f.edit("small", async (root) => {
      assert(fileSystemStatus(root).available_bytes < 12 * MIB, String(fileSystemStatus(root).available_bytes));
      await writeNoise(`${root}/fits`, 6);
      const error = await assertRejects(() => writeNoise(`${root}/much`, 16));
      assertStringIncludes(String(error), "os error 28");
      await Deno.remove(`${root}/much`);
      await f.edit("other", (there) => writeNoise(`${there}/much`, 16));
      await f.driver.setLimit!(keyOf("small"), 40 * MIB, f.operation);
      await writeNoise(`${root}/much`, 20);
      const shrinking = await assertFails("CONFLICT", () => f.driver.setLimit!(keyOf("small"), 8 * MIB, f.operation));
      assertStringIncludes(shrinking.message, "Unmount it first");
    });
    const fitting = await assertFails(
      "INVALID_ARGUMENT",
      () => f.driver.setLimit!(keyOf("small"), 8 * MIB, f.operation),
    );
    assertStringIncludes(fitting.message, "larger size");
    await f.edit("small", async (root) => assertEquals((await Deno.stat(`${root}/much`)).size, 20 * MIB));
  },
);

rootTest("a size above that of the base is there, also for what is made on it", async () => {
  await using f = await poolFixture();
  await prepare(f, "large", undefined, 100 * MIB);
  await f.edit("large", (root) => writeNoise(`${root}/data`, 80));
  await f.commit("layer", "large");
  await f.restart();
  await f.prepare("child", "layer");
  await f.edit("child", async (root) => assertEquals((await Deno.stat(`${root}/data`)).size, 80 * MIB));
});

rootTest("nothing new is made on a pool with too little room; what is removed makes room again", async () => {
  await using f = await poolFixture({ loop_size: "96m", min_free_percent: "50" });
  await f.prepare("eater");
  await f.edit("eater", (root) => writeNoise(`${root}/data`, 50));
  const error = await assertFails("RESOURCE_EXHAUSTED", () => f.prepare("next"));
  assertStringIncludes(error.message, "nearly full: its data is");
  assertStringIncludes(error.message, "min_free_percent is 50");
  assertEquals(await f.keys(), ["eater"]);
  const [found] = await f.driver.check({ repair: false }, f.operation);
  assertEquals([found?.kind, found?.repairable], ["pool-low", false]);
  assertStringIncludes(f.driver.status.data!, "MiB (");
  await f.remove("eater");
  await f.driver.cleanup(f.operation);
  await f.prepare("next");
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});

rootTest("a pool in a loop file is extended before it is full, and gives blocks back to the file", async () => {
  await using f = await poolFixture({
    loop_size: "96m",
    loop_max_size: "1g",
    min_free_percent: "50",
    base_size: "128m",
  });
  const blocks = () => Deno.statSync(`${f.directory}/pool.img`).blocks! * 512;
  await f.prepare("eater");
  await f.edit("eater", (root) => writeNoise(`${root}/data`, 50));
  await f.prepare("next");
  assert(Deno.statSync(`${f.directory}/pool.img`).size > 200 * MIB);
  await f.edit("eater", (root) => writeNoise(`${root}/more`, 40));
  const before = blocks();
  await f.remove("eater");
  await f.driver.cleanup(f.operation);
  assert(blocks() < before - 60 * MIB, `${before} ${blocks()}`);
  await f.restart();
  await f.edit("next", (root) => writeNoise(`${root}/data`, 60));
});

rootTest("a full pool says so, and what is on it can still be read and removed", async () => {
  await using f = await poolFixture({ loop_size: "96m", min_free_percent: "0", base_size: "128m" });
  await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/kept`, "kept"));
  await f.prepare("eater", "base");
  await assertRejects(() => f.edit("eater", (root) => writeNoise(`${root}/data`, 110)));
  const error = await assertFails("RESOURCE_EXHAUSTED", () => f.prepare("next", "base"));
  assertStringIncludes(error.message, "full");
  await f.look("base", async (root) => assertEquals(await Deno.readTextFile(`${root}/kept`), "kept"));
  await f.remove("eater");
  await f.driver.cleanup(f.operation);
  await f.prepare("next", "base");
  await f.edit("next", (root) => writeNoise(`${root}/data`, 20));
});
