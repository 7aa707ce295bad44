import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { rootTest } from "../support/scratch.ts";
import { makePool, zfsSetup } from "../zfs/support.ts";
import { compareDrivers } from "./differential.ts";

rootTest("the same random history gives the same trees on zfs and overlay", async (t) => {
  await using pool = await makePool();
  const setups = [zfsSetup(pool), { factory: overlayFactory, mounter: new LibcMounter() }];
  await compareDrivers(t, setups, 1, { layers: 5, operations: 30 });
});
