import { aufsFactory } from "../../drivers/storage/aufs/aufs_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { FUSE_OVERLAY_EXCEPTIONS } from "./support/fuse_exceptions.ts";
import { storageDriverContract } from "./storage_driver_contract.ts";

storageDriverContract("aufs by fuse-overlayfs", {
  factory: aufsFactory,
  mounter: new CommandMounter(),
  excepted: FUSE_OVERLAY_EXCEPTIONS,
});
