import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { mountApiSupport, NO_MOUNT_API } from "../../runtime/host/mount_api.ts";
import { mounterContract } from "./mounter_contract.ts";

mounterContract("command mounter", () => new CommandMounter(), mountApiSupport().attributes);
mounterContract("command mounter on an old kernel", () => new CommandMounter({}, NO_MOUNT_API), false);
