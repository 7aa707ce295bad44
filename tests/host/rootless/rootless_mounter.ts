/** The mounter contract, to be run by root of a user namespace. */
import { CommandMounter } from "../../../runtime/host/command_mounter.ts";
import { LibcMounter } from "../../../runtime/host/libc_mounter.ts";
import { mountApiSupport, NO_MOUNT_API } from "../../../runtime/host/mount_api.ts";
import { mounterContract } from "../mounter_contract.ts";
import { lockedFlagCases } from "../support/locked_flag_cases.ts";

const { attributes } = mountApiSupport();
mounterContract("command mounter", () => new CommandMounter(), attributes);
mounterContract("libc mounter", () => new LibcMounter(), attributes);
lockedFlagCases("command mounter", () => new CommandMounter());
lockedFlagCases("command mounter on an old kernel", () => new CommandMounter({}, NO_MOUNT_API));
lockedFlagCases("libc mounter", () => new LibcMounter());
lockedFlagCases("libc mounter on an old kernel", () => new LibcMounter(undefined, NO_MOUNT_API));
