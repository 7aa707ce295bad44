import { assert } from "@std/assert";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { otherFileSystem } from "../contract/support/other_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { compareDrivers } from "./differential.ts";

const mounter = new LibcMounter();

rootTest("the same random history gives the same trees on overlay, vfs and btrfs", async (t) => {
  await using fileSystem = await otherFileSystem("btrfs");
  assert(fileSystem !== undefined, "a btrfs can be made and mounted");
  const setups = [
    { factory: overlayFactory, mounter },
    { factory: vfsFactory, mounter },
    { factory: btrfsFactory, mounter, base: fileSystem.path },
  ];
  await compareDrivers(t, setups, 3, { layers: 8, operations: 40 });
});
