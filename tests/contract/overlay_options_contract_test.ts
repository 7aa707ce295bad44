import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { storageDriverContract } from "./storage_driver_contract.ts";

const mounter = new LibcMounter();
const factory = overlayFactory;

storageDriverContract("overlay with an index and inode numbers of its own", {
  factory,
  mounter,
  options: { "overlay.index": "on", "overlay.xino": "on" },
});
storageDriverContract("overlay with user attributes", { factory, mounter, options: { "overlay.userxattr": "true" } });
