import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { mountApiSupport, NO_MOUNT_API } from "../../runtime/host/mount_api.ts";
import { mounterContract } from "./mounter_contract.ts";

mounterContract("libc mounter", () => new LibcMounter(), mountApiSupport().attributes);
mounterContract("libc mounter on an old kernel", () => new LibcMounter(undefined, NO_MOUNT_API), false);
