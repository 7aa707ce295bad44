import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { loopsOf } from "../../runtime/host/block_devices.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import type { VolumeSpec } from "../../drivers/volume/port.ts";
import { rootTest } from "../support/scratch.ts";
import { namesIn, PluginStage } from "./stage.ts";

function local(stage: PluginStage, path: string, more: Partial<VolumeSpec> & { fsType?: string } = {}): VolumeSpec {
  const { fsType, ...rest } = more;
  const source = { local: { path, ...(fsType !== undefined && { fsType }) } };
  return stage.spec("data", source, { access_modes: ["ReadWriteOnce"], ...rest });
}

async function image(stage: PluginStage, name: string, size = "64M"): Promise<string> {
  const path = join(stage.layout.root, name);
  await commandOutput("truncate", ["-s", size, path]);
  return path;
}

/** A master boot record with one partition of Linux. */
async function writePartitionTable(path: string): Promise<void> {
  const record = new Uint8Array(512);
  record.set([0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0], 446);
  record.set([0x55, 0xaa], 510);
  using file = await Deno.open(path, { write: true });
  await file.write(record);
}

async function digest(path: string): Promise<string> {
  return (await commandOutput("sha256sum", [path])).split(" ")[0]!;
}

/** A device that somebody else on the machine looks at frees itself a moment later. */
async function noLoops(file: string): Promise<void> {
  for (let tries = 0; tries < 1000 && loopsOf(file).length > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(loopsOf(file), []);
}

rootTest("a local directory is bound, and stays with all that is in it", async () => {
  await using stage = await PluginStage.open();
  const directory = join(stage.layout.root, "disk");
  await Deno.mkdir(directory);
  const spec = local(stage, directory);
  const path = await stage.setUp(spec, await stage.mountDevice(spec));
  await Deno.writeTextFile(join(path, "file"), "data");
  const usage = await stage.plugin(spec).usage!(path, stage.operation);
  assertEquals([usage.inodes_used, usage.capacity_bytes], [2, undefined]);
  await stage.plugin(spec).expand!({ spec, path, size_bytes: 1 }, stage.operation);
  assertEquals(await stage.tearDown(spec), "empty");
  await stage.unmountDevice(spec);
  assertEquals(await namesIn(directory), ["file"]);
});

rootTest(
  "a file without anything on it gets a file system once, and its loop device leaves with the mount",
  async () => {
    await using stage = await PluginStage.open();
    const file = await image(stage, "image");
    const spec = local(stage, file);
    for (const expected of [["lost+found"], ["kept", "lost+found"]]) {
      const device = await stage.mountDevice(spec);
      await stage.mountDevice(spec);
      assertEquals(loopsOf(file).length, 1);
      const path = await stage.setUp(spec, device);
      assertEquals([mountAtTarget(readMountTable(), path)?.type, await namesIn(path)], ["ext4", expected]);
      await Deno.writeTextFile(join(path, "kept"), "");
      const { capacity_bytes } = await stage.plugin(spec).usage!(path, stage.operation);
      assertEquals(capacity_bytes! > 32 << 20 && capacity_bytes! <= 64 << 20, true);
      await stage.tearDown(spec);
      await stage.unmountDevice(spec);
      await noLoops(file);
    }
  },
);

rootTest("xfs and mount options come as they are asked for, and two pods share one device mount", async () => {
  await using stage = await PluginStage.open();
  const spec = local(stage, await image(stage, "image", "320M"), { fsType: "xfs", mount_options: ["noatime"] });
  const device = await stage.mountDevice(spec);
  const path = await stage.setUp(spec, device);
  const mounted = mountAtTarget(readMountTable(), path)!;
  assertEquals([mounted.type, mounted.options.includes("noatime")], ["xfs", true]);
  const reader = { ...spec, name: "reader", read_only: true };
  const other = await stage.setUp(reader, device);
  await Deno.writeTextFile(join(path, "file"), "text");
  assertEquals(await Deno.readTextFile(join(other, "file")), "text");
  await assertRejects(() => Deno.writeTextFile(join(other, "new"), ""), Error, "Read-only file system");
  await stage.tearDown(reader);
  await stage.tearDown(spec);
  await stage.unmountDevice(spec);
});

rootTest("a device that holds something is never formatted", async () => {
  await using stage = await PluginStage.open();
  const partitioned = await image(stage, "partitioned");
  await writePartitionTable(partitioned);
  const ext4 = await image(stage, "ext4");
  await commandOutput("mkfs.ext4", ["-q", "-F", ext4]);
  const swap = await image(stage, "swap");
  await commandOutput("mkswap", ["-q", swap]);
  const empty = await image(stage, "empty");
  const table: Array<[path: string, more: Parameters<typeof local>[2], why: string]> = [
    [partitioned, {}, "a partition table (dos), which is never formatted"],
    [swap, {}, "other (swap), which is never formatted"],
    [ext4, { fsType: "xfs" }, "there is ext4 on it, but fsType asks for xfs"],
    [empty, { access_modes: ["ReadOnlyMany"] }, "a read-only volume is never formatted"],
    [empty, { fsType: "zfs" }, 'Cannot make a file system "zfs"'],
  ];
  for (const [path, more, why] of table) {
    const before = await digest(path);
    const spec = local(stage, path, more);
    await assertRejects(() => stage.mountDevice(spec), LaminaError, why);
    assertEquals([await digest(path), loopsOf(path)], [before, []], why);
    await Deno.remove(stage.devicePath(spec));
  }
});

rootTest("ReadOnlyMany mounts the device itself read-only", async () => {
  await using stage = await PluginStage.open();
  const file = await image(stage, "image");
  await commandOutput("mkfs.ext4", ["-q", "-F", file]);
  const spec = local(stage, file, { access_modes: ["ReadOnlyMany"] });
  const path = await stage.setUp(spec, await stage.mountDevice(spec));
  await assertRejects(() => Deno.writeTextFile(join(path, "new"), ""), Error, "Read-only file system");
  await stage.tearDown(spec);
  await stage.unmountDevice(spec);
});

rootTest("a block device is used as it is, formatted when it is empty", async () => {
  await using stage = await PluginStage.open();
  const device = (await commandOutput("losetup", ["-f", "--show", await image(stage, "disk")])).trim();
  try {
    const spec = local(stage, device);
    const path = await stage.setUp(spec, await stage.mountDevice(spec));
    assertEquals(mountAtTarget(readMountTable(), path)?.source, device);
    await stage.tearDown(spec);
    await stage.unmountDevice(spec);
    const raw = local(stage, device, { volume_mode: "Block" });
    const shown = await stage.setUp(raw, await stage.mountDevice(raw));
    assertEquals((await Deno.stat(shown)).rdev, (await Deno.stat(device)).rdev);
    assertEquals(await stage.tearDown(raw), "empty");
    await stage.unmountDevice(raw);
  } finally {
    await commandOutput("losetup", ["-d", device]);
  }
});

rootTest("a raw volume of a file is a loop device that stays until the last pod is gone", async () => {
  await using stage = await PluginStage.open();
  const file = await image(stage, "image", "8M");
  const spec = local(stage, file, { volume_mode: "Block" });
  const path = await stage.setUp(spec, await stage.mountDevice(spec));
  const [loop] = loopsOf(file);
  await Deno.writeTextFile(path, "raw", { create: false });
  await stage.restart();
  await stage.mountDevice(spec);
  await stage.setUp(spec);
  assertEquals(loopsOf(file), [loop]);
  const { capacity_bytes } = await stage.plugin(spec).usage!(path, stage.operation);
  assertEquals(capacity_bytes, 8 << 20);
  await stage.tearDown(spec);
  await stage.unmountDevice(spec);
  await noLoops(file);
  const { stdout } = await runCommand("head", ["-c", "3", file]);
  assertEquals(stdout, "raw");
});

rootTest("what cannot be a raw volume is refused", async () => {
  await using stage = await PluginStage.open();
  const directory = local(stage, stage.layout.root, { volume_mode: "Block" });
  await assertRejects(() => stage.setUp(directory), LaminaError, "is a directory; volumeMode Block wants a device");
  const file = await image(stage, "image", "8M");
  const other = (await commandOutput("losetup", ["-f", "--show", file])).trim();
  try {
    const spec = local(stage, file, { volume_mode: "Block" });
    await assertRejects(() => stage.mountDevice(spec), LaminaError, `${other} does that already`);
  } finally {
    await commandOutput("losetup", ["-d", other]);
  }
});

rootTest("a read-only raw volume is a read-only device", async () => {
  await using stage = await PluginStage.open();
  const file = await image(stage, "image", "8M");
  const writer = local(stage, file, { volume_mode: "Block" });
  const reader = { ...writer, name: "reader", read_only: true };
  const device = await stage.mountDevice(writer);
  const [writable, fixed] = [await stage.setUp(writer, device), await stage.setUp(reader, device)];
  await Deno.writeTextFile(writable, "raw", { create: false });
  await assertRejects(() => Deno.writeTextFile(fixed, "no", { create: false }));
  for (const one of [writer, reader]) await stage.tearDown(one);
  await stage.unmountDevice(writer);
  await noLoops(file);
  const spec = local(stage, file, { volume_mode: "Block", read_only: true, access_modes: ["ReadOnlyMany"] });
  const path = await stage.setUp(spec, await stage.mountDevice(spec));
  await assertRejects(() => Deno.writeTextFile(path, "raw", { create: false }));
  await stage.tearDown(spec);
  await stage.unmountDevice(spec);
});

rootTest("a file system grows with its file: while it is mounted, or at its next mount and says so", async () => {
  await using stage = await PluginStage.open();
  const file = await image(stage, "image", "320M");
  for (const fsType of ["ext4", "xfs"]) {
    await commandOutput("truncate", ["-s", "0", file]);
    await commandOutput("truncate", ["-s", "320M", file]);
    const spec = local(stage, file, { fsType });
    const device = await stage.mountDevice(spec);
    let path = await stage.setUp(spec, device);
    const size = async () => (await stage.plugin(spec).usage!(path, stage.operation)).capacity_bytes!;
    const before = await size();
    await commandOutput("truncate", ["-s", "640M", file]);
    const request = { spec, path: device.deviceMountPath!, size_bytes: 640 << 20 };
    const grown = [
      await stage.plugin(spec).expand!(request, stage.operation),
      await stage.plugin(spec).expand!(request, stage.operation),
    ];
    assertEquals(grown, await size() > before ? [true, undefined] : [false, false]);
    if (fsType === "xfs") assertEquals(await size() > before * 1.5, true);
    if (await size() === before) {
      assertEquals(stage.warnings.at(-1)!.endsWith("it will at its next mount"), true);
      await stage.tearDown(spec);
      await stage.unmountDevice(spec);
      path = await stage.setUp(spec, await stage.mountDevice(spec));
    }
    assertEquals(await size() > before * 1.5, true, fsType);
    await stage.tearDown(spec);
    await stage.unmountDevice(spec);
  }
});

rootTest("a path that is missing, or is no storage, is named", async () => {
  await using stage = await PluginStage.open();
  const missing = local(stage, join(stage.layout.root, "none"));
  const error = await assertRejects(() => stage.mountDevice(missing), LaminaError, "does not exist on this host");
  assertEquals(error.code, "NOT_FOUND");
  await assertRejects(() => stage.mountDevice(local(stage, "/dev/null")), LaminaError, "is neither a directory");
});
