import { assertEquals } from "@std/assert";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { makePool } from "../zfs/support.ts";
import { thereAndBack } from "./support/there_and_back.ts";

rootTest("everything moves from overlay to zfs and back, and the datasets are gone", async () => {
  await using pool = await makePool();
  await thereAndBack("zfs", { "zfs.pool": pool.name }, async () => {
    assertEquals((await commandOutput("zfs", ["list", "-Ho", "name"])).trim().split("\n"), [pool.name]);
  });
});
