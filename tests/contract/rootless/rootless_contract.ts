/** Run inside a user namespace by `rootless_contract_test.ts`; no test module of its own. */
import { vfsFactory } from "../../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../../overlay/overlay_driver.ts";
import { CommandMounter } from "../../../runtime/host/command_mounter.ts";
import { storageDriverContract } from "../storage_driver_contract.ts";

const mounter = new CommandMounter();
storageDriverContract("rootless overlay", { factory: overlayFactory, mounter });
storageDriverContract("rootless vfs", { factory: vfsFactory, mounter });
