import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { rootTest } from "../support/scratch.ts";
import { compareDrivers } from "./differential.ts";

const mounter = new LibcMounter();

rootTest("the same random history gives the same trees on devicemapper and overlay", async (t) => {
  const options = { "devicemapper.loop_size": "512m", "devicemapper.base_size": "128m" };
  const setups = [{ factory: devicemapperFactory, options, mounter }, { factory: overlayFactory, mounter }];
  await compareDrivers(t, setups, 1, { layers: 5, operations: 30 });
});
