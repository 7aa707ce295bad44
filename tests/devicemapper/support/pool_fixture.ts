/** A devicemapper driver on small pools of several kinds, and disks for them. */
import { join } from "@std/path/posix";
import { devicemapperFactory } from "../../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { attachLoop, type LoopDevice } from "../../../runtime/host/block_devices.ts";
import { DriverFixture } from "../../contract/support/driver_fixture.ts";
import { directMounter } from "./direct_mounter.ts";
import { poolBacking } from "./pool_backing.ts";

/** A driver with a base of 64 MiB; without further options on a loop file of 256 MiB that does not grow. */
export function poolFixture(options: Record<string, string> = {}): Promise<DriverFixture> {
  const place: Record<string, string> = "device" in options || "thinpool" in options
    ? {}
    : { loop_size: "256m", loop_max_size: options.loop_size ?? "256m" };
  const all = { ...place, base_size: "64m", ...options };
  return DriverFixture.create({
    factory: devicemapperFactory,
    mounter: directMounter,
    backing: poolBacking,
    options: Object.fromEntries(Object.entries(all).map(([key, value]) => [`devicemapper.${key}`, value])),
  });
}

/** A disk of zeros. */
export async function disk(directory: string, size_bytes: number): Promise<LoopDevice> {
  const path = join(directory, `disk-${crypto.randomUUID().slice(0, 8)}`);
  using file = await Deno.open(path, { write: true, createNew: true });
  await file.truncate(size_bytes);
  return attachLoop(path);
}

/** Writes `count` MiB of noise; throws what the kernel says. The data is on the disk when it returns. */
export async function writeNoise(path: string, count: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, append: true });
  const chunk = new Uint8Array(1 << 20);
  for (let at = 0; at < chunk.length; at += 65536) crypto.getRandomValues(chunk.subarray(at, at + 65536));
  for (let i = 0; i < count; i++) {
    for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
  }
  await file.sync();
}
