/** Every storage driver that works here, opened on a root of its own, with a base of many small files and a large one. */
import { join } from "@std/path/posix";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import type { DriverFactory } from "../../drivers/storage/driver_factory.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { zfsFactory } from "../../drivers/storage/zfs/zfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { isLaminaError } from "../../runtime/core/errors.ts";
import type { SnapshotKey } from "../../runtime/core/ids.ts";
import { mountAt } from "../../runtime/core/mount.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { Store } from "../../runtime/store/store.ts";

/** The committed snapshot that everything is prepared on. */
export const BASE = "base" as SnapshotKey;
/** Name of its large file, and that file's size in bytes. */
export const LARGE = { name: "large", size_bytes: 100_000_000 };
/** Small files of the base. */
export const SMALL_FILES = 1000;

interface Candidate {
  readonly factory: DriverFactory;
  readonly options?: Readonly<Record<string, string>>;
  /** A file system for its root, on a loop file. */
  readonly fileSystem?: "btrfs" | "zfs";
}

const CANDIDATES: readonly Candidate[] = [
  { factory: overlayFactory },
  { factory: vfsFactory },
  { factory: btrfsFactory, fileSystem: "btrfs" },
  { factory: zfsFactory, fileSystem: "zfs" },
  {
    factory: devicemapperFactory,
    options: { "devicemapper.loop_size": "3g", "devicemapper.base_size": "1g" },
  },
];

const POOL = "lamina-bench";

const operation = backgroundOperation();
const engine = createLayerEngine();
const mounter = new LibcMounter();

/** A driver to measure. */
export class BenchDriver {
  readonly operation = operation;
  #number = 0;

  private constructor(readonly name: string, readonly driver: StorageDriver, readonly directory: string) {}

  /** All that work on this kernel; each with its base. */
  static async all(directory: string): Promise<BenchDriver[]> {
    const drivers: BenchDriver[] = [];
    for (const candidate of CANDIDATES) {
      const opened = await open(candidate, join(directory, candidate.factory.name));
      if (opened === undefined) continue;
      const driver = new BenchDriver(candidate.factory.name, opened, join(directory, candidate.factory.name));
      await driver.fillBase();
      drivers.push(driver);
    }
    return drivers;
  }

  /** A key that nobody has. */
  key(): SnapshotKey {
    return `key${this.#number++}` as SnapshotKey;
  }

  /** An active snapshot on the base. */
  async prepare(key: SnapshotKey = this.key()): Promise<SnapshotKey> {
    await this.driver.prepare(key, BASE, {}, operation);
    return key;
  }

  /** Mounts an active snapshot. Returns where. */
  async mount(key: SnapshotKey): Promise<string> {
    const target = join(this.directory, `mnt-${key}`);
    await Deno.mkdir(target);
    await mounter.mount((await this.driver.mounts(key)).map((mount) => mountAt(mount, target)), operation);
    return target;
  }

  async unmount(target: string): Promise<void> {
    await mounter.unmount([target], operation);
    await Deno.remove(target);
  }

  /** An active snapshot with a hundred new files and a hundred changed ones. */
  async changed(): Promise<SnapshotKey> {
    const key = await this.prepare();
    const target = await this.mount(key);
    for (let index = 0; index < 100; index++) {
      Deno.writeTextFileSync(`${target}/new${index}`, `new ${index}\n`.repeat(100));
      Deno.writeTextFileSync(`${target}/d${index % 10}/f${index}`, "changed\n");
    }
    await this.unmount(target);
    return key;
  }

  /** Removes a snapshot and frees its space. */
  async remove(key: SnapshotKey): Promise<void> {
    await this.driver.remove(key, operation);
    await this.driver.cleanup(operation);
  }

  private async fillBase(): Promise<void> {
    const key = this.key();
    await this.driver.prepare(key, undefined, {}, operation);
    const target = await this.mount(key);
    for (let index = 0; index < 10; index++) Deno.mkdirSync(`${target}/d${index}`);
    for (let index = 0; index < SMALL_FILES; index++) {
      Deno.writeTextFileSync(`${target}/d${index % 10}/f${index}`, `file ${index}\n`.repeat(200));
    }
    {
      using file = Deno.openSync(`${target}/${LARGE.name}`, { write: true, create: true });
      const piece = crypto.getRandomValues(new Uint8Array(50_000));
      for (let at = 0; at < LARGE.size_bytes;) at += file.writeSync(piece);
    }
    await this.unmount(target);
    await this.driver.commit(BASE, key, {}, operation);
  }
}

async function open(candidate: Candidate, root: string): Promise<StorageDriver | undefined> {
  const { factory, options = {}, fileSystem } = candidate;
  const directory = join(root, "driver");
  await Deno.mkdir(root, { recursive: true });
  if (fileSystem !== undefined && !await mountOwn(fileSystem, root)) return undefined;
  await Deno.mkdir(directory, { mode: 0o700 });
  if (!(await factory.probe({ directory, options }, operation)).supported) return undefined;
  const store = new Store(join(root, "lamina.db"));
  const driver = await factory.open({ directory, store, engine, mounter, options }, operation);
  await driver.recover(operation);
  return driver;
}

async function mountOwn(type: "btrfs" | "zfs", root: string): Promise<boolean> {
  const image = `${root}.${type}`;
  await commandOutput("truncate", ["-s", "3G", image]);
  if (type === "zfs") return await makePool(root, image);
  await commandOutput(`mkfs.${type}`, ["--quiet", image]);
  return (await runCommand("mount", ["-o", "loop,noatime", image, root])).code === 0;
}

/** A pool that goes when the benchmark ends. */
async function makePool(root: string, image: string): Promise<boolean> {
  try {
    await commandOutput("modprobe", ["zfs"]);
    await commandOutput("zpool", ["create", "-O", "compression=off", "-m", root, POOL, image]);
    addEventListener("unload", () => void new Deno.Command("zpool", { args: ["destroy", "-f", POOL] }).outputSync());
    return true;
  } catch (error) {
    if (isLaminaError(error)) return false;
    throw error;
  }
}
