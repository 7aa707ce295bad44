/** A driver on a btrfs of its own. */
import { assert } from "@std/assert";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { DriverFixture } from "../contract/support/driver_fixture.ts";
import { otherFileSystem } from "../contract/support/other_file_system.ts";
import { subvolumeBacking } from "../contract/support/subvolume_backing.ts";
import { rootTest } from "../support/scratch.ts";

const mounter = new LibcMounter();

/** A test on a fresh file system of 512 MiB. `place`: makes a directory for the root there, given the mount point. */
export function btrfsTest(
  name: string,
  body: (f: DriverFixture, mountPoint: string) => Promise<void>,
  settings: { quota?: "off" | "on" | "simple"; place?: (mountPoint: string) => Promise<string> } = {},
): void {
  rootTest(name, async () => {
    await using fileSystem = await otherFileSystem("btrfs");
    assert(fileSystem !== undefined, "a btrfs can be made and mounted");
    const base = await settings.place?.(fileSystem.path) ?? fileSystem.path;
    const options = { "btrfs.quota": settings.quota ?? "off" };
    await using f = await DriverFixture.create({
      factory: btrfsFactory,
      mounter,
      base,
      options,
      backing: subvolumeBacking,
    });
    await body(f, fileSystem.path);
  });
}

/** Paths of all subvolumes that are not being freed, relative to the top of the file system. */
export async function subvolumes(mountPoint: string): Promise<string[]> {
  const text = await commandOutput("btrfs", ["subvolume", "list", mountPoint]);
  return text.split("\n").filter(Boolean).map((line) => line.replace(/^.* path /, "")).sort();
}

/** Waits until the kernel has freed what was deleted, which nothing but the deletion itself asked it to do. */
export async function freed(mountPoint: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const deleted = await commandOutput("btrfs", ["subvolume", "list", "-d", mountPoint]);
    if (deleted.trim() === "") break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // What was freed can be used again after a commit.
  await commandOutput("sync", ["-f", mountPoint]);
}
