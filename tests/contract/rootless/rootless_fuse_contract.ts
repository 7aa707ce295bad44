/** Run inside a user namespace by `rootless_fuse_contract_test.ts`; no test module of its own. */
import { CommandMounter } from "../../../runtime/host/command_mounter.ts";
import { overlayFactory } from "../../../overlay/overlay_driver.ts";
import { storageDriverContract } from "../storage_driver_contract.ts";
import { FUSE_OVERLAY_EXCEPTIONS } from "../support/fuse_exceptions.ts";

storageDriverContract("rootless overlay by fuse-overlayfs", {
  factory: overlayFactory,
  options: { "overlay.mount_program": "fuse-overlayfs" },
  mounter: new CommandMounter(),
  excepted: FUSE_OVERLAY_EXCEPTIONS,
});
