import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { storageDriverContract } from "./storage_driver_contract.ts";

storageDriverContract("overlay", { factory: overlayFactory, mounter: new CommandMounter() });
