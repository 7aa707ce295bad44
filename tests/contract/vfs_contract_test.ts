import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { storageDriverContract } from "./storage_driver_contract.ts";

storageDriverContract("vfs", { factory: vfsFactory, mounter: new CommandMounter() });
