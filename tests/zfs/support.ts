/** A pool on a file, and the zfs driver on it. For the guest: pools are the machine's. */
import { zfsFactory } from "../../drivers/storage/zfs/zfs_driver.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import type { Backing } from "../contract/support/backing.ts";
import { type DriverFixture, type DriverSetup } from "../contract/support/driver_fixture.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** A pool that goes away with everything on it. */
export interface TestPool extends AsyncDisposable {
  readonly name: string;
  /** The file that it is on. */
  readonly file: string;
}

let pools = 0, roots = 0;

/** Makes a pool of 1 GiB on a sparse file. */
export async function makePool(size = "1G"): Promise<TestPool> {
  const scratch = await scratchDirectory();
  const file = `${scratch.path}/pool`, name = `test${Deno.pid}p${++pools}`;
  await commandOutput("modprobe", ["zfs"]);
  await commandOutput("truncate", ["-s", size, file]);
  await commandOutput("zpool", ["create", "-O", "mountpoint=none", "-O", "compression=off", name, file]);
  return {
    name,
    file,
    async [Symbol.asyncDispose]() {
      await runCommand("zpool", ["destroy", "-f", name]);
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** The driver with a dataset of its own for every root. */
export function zfsSetup(pool: TestPool): DriverSetup {
  return {
    factory: zfsFactory,
    mounter: new LibcMounter(),
    backing: datasetBacking,
    emulated: true,
    // Each has everything that its parents had: depth stacks nothing. A level takes a second or two.
    levels: 32,
    async ownOptions() {
      const dataset = `${pool.name}/root${++roots}`;
      await commandOutput("zfs", ["create", dataset]);
      return { "zfs.pool": dataset };
    },
  };
}

/** The driver's own dataset. */
export function baseOf(f: DriverFixture): string {
  return `${f.setup.options!["zfs.pool"]}/lamina`;
}

/** Trees of the zfs driver. */
export const datasetBacking: Backing = {
  noun: "dataset",
  directories: false,
  async list(f) {
    const text = await commandOutput("zfs", ["list", "-Ho", "name", "-r", "-d", "1", baseOf(f)]);
    return text.trim().split("\n").filter((name) => name !== baseOf(f)).map((name) => name.slice(baseOf(f).length + 1));
  },
  async makeOrphan(f) {
    await commandOutput("zfs", ["create", `${baseOf(f)}/orphan`]);
    return `${baseOf(f)}/orphan`;
  },
  async makeStranger(f) {
    await commandOutput("zfs", ["create", `${baseOf(f)}/Photos`]);
    return `${baseOf(f)}/Photos`;
  },
  async block(f, id) {
    const name = `${baseOf(f)}/${id.toString(36)}`;
    await commandOutput("zfs", ["create", name]);
    return async () => {
      await commandOutput("zfs", ["destroy", name]);
    };
  },
  async lose(f, id) {
    await commandOutput("zfs", ["destroy", "-r", `${baseOf(f)}/${id.toString(36)}`]);
  },
  async meddle(f, id, body) {
    const target = await Deno.makeTempDir({ dir: f.scratch.path });
    await commandOutput("mount", ["-t", "zfs", `${baseOf(f)}/${id.toString(36)}`, target]);
    try {
      return await body(target);
    } finally {
      await commandOutput("umount", [target]);
      await Deno.remove(target);
    }
  },
};
