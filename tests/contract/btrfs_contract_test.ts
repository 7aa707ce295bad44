import { assert } from "@std/assert";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { rootTest } from "../support/scratch.ts";
import { storageDriverContractSteps } from "./storage_driver_contract.ts";
import { otherFileSystem } from "./support/other_file_system.ts";
import { subvolumeBacking } from "./support/subvolume_backing.ts";

const mounter = new LibcMounter();

for (const quota of ["off", "on", "simple"]) {
  rootTest(`btrfs with btrfs.quota=${quota} keeps the contract`, async (t) => {
    await using fileSystem = await otherFileSystem("btrfs");
    assert(fileSystem !== undefined, "a btrfs can be made and mounted");
    const options = { "btrfs.quota": quota };
    const base = fileSystem.path;
    await storageDriverContractSteps(t, { factory: btrfsFactory, mounter, base, options, backing: subvolumeBacking });
  });
}
