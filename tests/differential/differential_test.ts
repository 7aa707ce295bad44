import { assert } from "@std/assert";
import { aufsFactory } from "../../drivers/storage/aufs/aufs_driver.ts";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { otherFileSystem } from "../contract/support/other_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { compareDrivers } from "./differential.ts";
import type { FileOperation } from "./operations.ts";

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

/**
 * What fuse-overlayfs 1.10, which stands in for a kernel's aufs, gets wrong is left out: it answers ENXIO when a device
 * node is removed, parts the names of a file of a lower layer, and drops a directory's set-id bits when it copies it up.
 * What was deleted shows again in a directory of the same name until the next mount.
 */
const FUSE_OVERLAY_HISTORY = {
  mountedAnew: true,
  allows: (operation: FileOperation) =>
    operation.kind !== "node" && operation.kind !== "link" &&
    !(operation.kind === "mode" && (operation.mode & 0o6000) !== 0),
};

rootTest(
  "the same random history of what fuse-overlayfs can do gives the same trees on aufs and overlay",
  async (t) => {
    const setups = [{ factory: aufsFactory, mounter: new CommandMounter() }, { factory: overlayFactory, mounter }];
    await compareDrivers(t, setups, 2, {
      layers: 8,
      operations: 40,
      ...FUSE_OVERLAY_HISTORY,
    });
  },
);
