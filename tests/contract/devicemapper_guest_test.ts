/** The storage driver contract on thin pools in loop files. */
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { storageDriverContract } from "./storage_driver_contract.ts";
import { directMounter } from "../devicemapper/support/direct_mounter.ts";
import { poolBacking } from "../devicemapper/support/pool_backing.ts";

storageDriverContract("devicemapper with ext4", {
  factory: devicemapperFactory,
  options: { "devicemapper.loop_size": "512m", "devicemapper.base_size": "64m" },
  mounter: directMounter,
  backing: poolBacking,
  emulated: true,
  // Each device has everything that its parents had: depth stacks nothing.
  levels: 64,
});
