import { rootTest } from "../support/scratch.ts";
import { storageDriverContractSteps } from "../contract/storage_driver_contract.ts";
import { makePool, zfsSetup } from "./support.ts";

rootTest("zfs keeps the contract", async (t) => {
  await using pool = await makePool();
  await storageDriverContractSteps(t, zfsSetup(pool));
});
