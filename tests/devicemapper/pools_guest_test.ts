/** Pools on devices and of LVM, pools of others, damaged pools, pools that go away. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { newestLabel, placesOf, SECTOR_BYTES } from "../../drivers/storage/devicemapper/pool_layout.ts";
import { readLabel } from "../../drivers/storage/devicemapper/pool_place.ts";
import { ThinPool } from "../../drivers/storage/devicemapper/thin_pool.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import {
  createMapperDevice,
  mapperDevices,
  mapperNode,
  reloadMapperDevice,
  removeMapperDevice,
} from "../../runtime/host/device_mapper.ts";
import { Store } from "../../runtime/store/store.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { sharedEngine } from "../contract/support/engine.ts";
import { type DriverFixture, keyOf } from "../contract/support/driver_fixture.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { directMounter } from "./support/direct_mounter.ts";
import { disk, poolFixture, writeNoise } from "./support/pool_fixture.ts";

const DISK_BYTES = 256 << 20;

async function lifeOf(f: DriverFixture): Promise<void> {
  await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
  await f.prepare("work", "base");
  await f.edit("work", (root) => Deno.writeTextFile(`${root}/mine`, "mine"));
  assertEquals(await f.changes("work"), ["A /mine"]);
  await f.driver[Symbol.asyncDispose]();
  await f.restart();
  await f.edit("work", async (root) => {
    assertEquals(await Deno.readTextFile(`${root}/file`) + await Deno.readTextFile(`${root}/mine`), "textmine");
  });
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
}

rootTest("a pool lives on a block device, is refused to another root, and leaves no device behind", async () => {
  await using scratch = await scratchDirectory();
  using device = await disk(scratch.path, DISK_BYTES);
  {
    await using f = await poolFixture({ device: device.path });
    await lifeOf(f);
    const error = await assertFails("CONFLICT", () => poolFixture({ device: device.path }));
    assertStringIncludes(error.message, `belongs to another root (${f.directory})`);
  }
  assertEquals([...mapperDevices().keys()].filter((name) => name.startsWith("lamina-")), []);
});

rootTest(
  "a device with something on it, one in use and one that is too small are refused and not touched",
  async () => {
    await using scratch = await scratchDirectory();
    using device = await disk(scratch.path, DISK_BYTES);
    await commandOutput("mkfs.ext4", ["-q", "-E", "nodiscard", device.path]);
    const taken = await assertFails("CONFLICT", () => poolFixture({ device: device.path }));
    assertStringIncludes(taken.message, "there is something on it");
    await commandOutput("e2fsck", ["-fn", device.path]);
    using small = await disk(scratch.path, 4 << 20);
    await assertFails("INVALID_ARGUMENT", () => poolFixture({ device: small.path }));
    await assertFails("UNAVAILABLE", () => poolFixture({ device: "/dev/no-such-disk" }));
    await assertFails("INVALID_ARGUMENT", () => poolFixture({ device: "/dev/null" }));
  },
);

rootTest("a pool of another version and a file that was cut off are refused", async () => {
  await using f = await poolFixture();
  await f.layer("base", undefined, () => {});
  await f.driver[Symbol.asyncDispose]();
  const file = join(f.directory, "pool.img");
  const whole = await Deno.readFile(file);
  const other = new TextEncoder().encode("lamina thin pool\n");
  assertEquals(whole.subarray(0, other.length), other);
  await Deno.truncate(file, 1 << 20);
  await assertFails("DATA_LOSS", () => f.restart());
  await Deno.remove(file);
  await assertFails("DATA_LOSS", () => f.restart());
  await Deno.writeFile(file, whole);
  await f.restart();
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});

rootTest("a pool whose metadata the kernel wants checked is checked and goes on", async () => {
  await using f = await poolFixture();
  await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
  await f.driver[Symbol.asyncDispose]();
  changeSuperblock(f, (view) => view.setUint32(4, view.getUint32(4, true) | 1, true));
  await f.restart();
  assertStringIncludes(f.driver.status.mended!, "is in order");
  await f.prepare("next", "base");
  await f.edit("next", async (root) => assertEquals(await Deno.readTextFile(`${root}/file`), "text"));
});

rootTest("damaged metadata is repaired into its spare place, with all that was on the pool", async () => {
  await using f = await poolFixture();
  await f.layer("base", undefined, (root) => writeNoise(`${root}/file`, 3));
  await f.prepare("work", "base");
  await f.driver[Symbol.asyncDispose]();
  let bitmap = 0n;
  changeSuperblock(f, (view) => bitmap = view.getBigUint64(64 + 16, true));
  using file = Deno.openSync(join(f.directory, "pool.img"), { write: true });
  const { start } = metadataOf(f);
  file.seekSync(start + Number(bitmap) * 4096 + 8, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(64).fill(0xa5));
  // The kernel sees it when it looks for a free block, stops writing, and wants a check.
  await f.restart().then(() => f.edit("work", (root) => writeNoise(`${root}/new`, 1))).catch(() => {});
  await f.driver[Symbol.asyncDispose]();
  await f.restart();
  assertStringIncludes(f.driver.status.mended!, "has been repaired");
  await f.look("base", async (root) => assertEquals((await Deno.stat(`${root}/file`)).size, 3 << 20));
  await f.prepare("next", "base");
  await f.edit("next", (root) => writeNoise(`${root}/new`, 1));
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});

rootTest("a device that vanishes makes clear errors, and all is there when it is back", async () => {
  await using scratch = await scratchDirectory();
  using device = await disk(scratch.path, DISK_BYTES);
  const length = DISK_BYTES / SECTOR_BYTES;
  const whole = [{ start: 0, length, type: "linear", parameters: `${device.path} 0` }];
  const node = mapperNode(createMapperDevice("lamina-test-disk", "LAMINA-TEST-DISK", whole));
  try {
    await using f = await poolFixture({ device: node });
    await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
    reloadMapperDevice("lamina-test-disk", [{ start: 0, length, type: "error", parameters: "" }]);
    const failing = await f.prepare("lost", "base").then(() => undefined, (error) => error);
    assert(["UNAVAILABLE", "DATA_LOSS"].includes(failing?.code), String(failing));
    await f.driver[Symbol.asyncDispose]();
    reloadMapperDevice("lamina-test-disk", whole);
    await f.restart();
    await f.look("base", async (root) => assertEquals(await Deno.readTextFile(`${root}/file`), "text"));
    await f.driver.cleanup(f.operation);
    assertEquals(await f.driver.check({ repair: false }, f.operation), []);
  } finally {
    removeMapperDevice("lamina-test-disk");
  }
});

rootTest("a database that came back from a backup costs no data and gives no id again", async () => {
  await using f = await poolFixture();
  await f.layer("base", undefined, () => {});
  const backup = join(f.scratch.path, "backup.db");
  f.store.get(`VACUUM INTO '${backup}'`);
  await f.prepare("newer", "base");
  await f.edit("newer", (root) => Deno.writeTextFile(`${root}/precious`, "x"));
  await f.driver[Symbol.asyncDispose]();
  for (let start = 0; start < 2; start++) {
    using store = new Store(backup);
    const context = {
      directory: f.directory,
      store,
      engine: sharedEngine(),
      mounter: directMounter,
      options: f.setup.options!,
    };
    await using driver = await devicemapperFactory.open(context, f.operation);
    await driver.recover(f.operation);
    await driver.cleanup(f.operation);
    const [found, ...more] = await driver.check({ repair: true }, f.operation);
    assertEquals([found?.kind, found?.repairable, more], ["unknown-device", false, []]);
    await driver.prepare(keyOf(`after-${start}`), keyOf("base"), {}, f.operation);
  }
});

rootTest("what is missing is named with its package", async () => {
  const path = Deno.env.get("PATH")!;
  await using scratch = await scratchDirectory();
  Deno.env.set("PATH", scratch.path);
  try {
    const options = { "devicemapper.thinpool": "group/pool" };
    const { supported, reasons } = await devicemapperFactory.probe(
      { directory: scratch.path, options },
      { signal: AbortSignal.timeout(120_000), progress() {} },
    );
    assertEquals(supported, false);
    for (const name of ["thin-provisioning-tools", "e2fsprogs", "lvm2"]) {
      assertStringIncludes(reasons.join("\n"), `install the package ${name}`);
    }
  } finally {
    Deno.env.set("PATH", path);
  }
});

rootTest("a thin pool of LVM carries the driver, and one with volumes of others is refused", async () => {
  await using scratch = await scratchDirectory();
  using device = await disk(scratch.path, DISK_BYTES);
  // Without a monitor: that would be a daemon which outlives the test and holds its scratch.
  await Deno.writeTextFile(join(scratch.path, "lvm.conf"), "activation {\n  monitoring = 0\n}\n");
  Deno.env.set("LVM_SYSTEM_DIR", scratch.path);
  const lvm = (program: string, ...args: string[]) => commandOutput(program, ["-q", ...args]);
  await lvm("vgcreate", "laminatest", device.path);
  try {
    await lvm("lvcreate", "-T", "-L", "96m", "-Zn", "laminatest/pool-a");
    await lvm("lvcreate", "-T", "-L", "64m", "-V", "32m", "-Zn", "-n", "others", "laminatest/pool-b");
    const error = await assertFails("CONFLICT", () => poolFixture({ thinpool: "laminatest/pool-b" }));
    assertStringIncludes(error.message, "not Lamina's");
    await assertFails("UNAVAILABLE", () => poolFixture({ thinpool: "laminatest/none" }));
    await using f = await poolFixture({ thinpool: "laminatest/pool-a" });
    await lifeOf(f);
    await assertFails("CONFLICT", () => poolFixture({ thinpool: "laminatest/pool-a" }));
    await f.driver[Symbol.asyncDispose]();
    await lvm("lvchange", "-an", "laminatest/pool-a");
    await f.restart();
    assertEquals(await f.driver.check({ repair: false }, f.operation), []);
    for (const key of ["work", "base"]) await f.remove(key);
    const { pool_device } = f.driver.status;
    await f.driver.retire(f.operation);
    // As it was given: without a volume in it.
    assertEquals(await new ThinPool(pool_device!, "none").list(f.operation.signal), []);
  } finally {
    await lvm("vgremove", "-ff", "-y", "laminatest");
    Deno.env.delete("LVM_SYSTEM_DIR");
  }
});

function metadataOf(f: DriverFixture): { start: number } {
  const file = join(f.directory, "pool.img");
  const label = newestLabel(readLabel(file));
  assert(typeof label !== "string");
  const { metadata, metadata_sectors } = label.places!;
  return { start: placesOf(Deno.statSync(file).size, metadata_sectors).metadata[metadata] * SECTOR_BYTES };
}

/** Changes the superblock of a pool that is closed, and makes its checksum right again. */
function changeSuperblock(f: DriverFixture, change: (view: DataView) => void): void {
  using file = Deno.openSync(join(f.directory, "pool.img"), { read: true, write: true });
  const { start } = metadataOf(f);
  const block = new Uint8Array(4096);
  file.seekSync(start, Deno.SeekMode.Start);
  assertEquals(file.readSync(block), block.length);
  const view = new DataView(block.buffer);
  change(view);
  view.setUint32(0, (crc32c(block.subarray(4)) ^ 160774) >>> 0, true);
  file.seekSync(start, Deno.SeekMode.Start);
  file.writeSync(block);
  file.syncSync();
}

/** Without the final inversion, as the kernel has it. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return crc >>> 0;
}
