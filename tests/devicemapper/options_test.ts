import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseDevicemapperOptions } from "../../drivers/storage/devicemapper/options.ts";
import { LaminaError } from "../../runtime/core/errors.ts";

const parse = (options: Record<string, string>) =>
  parseDevicemapperOptions(
    Object.fromEntries(Object.entries(options).map(([key, value]) => [`devicemapper.${key}`, value])),
  );

Deno.test("a loop file is for trial: its size is all that has to be said", () => {
  assertEquals(parse({ loop_size: "2g" }), {
    backing: { kind: "loop", size_bytes: 2 * 2 ** 30, max_bytes: 100 * 2 ** 30 },
    fs: "ext4",
    base_bytes: 10 * 2 ** 30,
    minFree_percent: 10,
    discard: true,
  });
});

Deno.test("a device and a thin pool of LVM are named by path and by group and pool", () => {
  assertEquals(parse({ device: "/dev/disk/by-id/x" }).backing, { kind: "device", path: "/dev/disk/by-id/x" });
  assertEquals(parse({ thinpool: "vg-0/pool" }).backing, { kind: "lvm", group: "vg-0", volume: "pool" });
});

Deno.test("file system, sizes, threshold and discard are taken", () => {
  const settings = parse({
    device: "/dev/x",
    fs: "xfs",
    base_size: "512m",
    min_free_percent: "0",
    discard: "off",
  });
  assertEquals([settings.fs, settings.base_bytes, settings.minFree_percent, settings.discard], [
    "xfs",
    512 * 2 ** 20,
    0,
    false,
  ]);
});

Deno.test("without a place the driver says what to give", () => {
  const error = assertThrows(() => parse({}), LaminaError);
  assertEquals(error.code, "UNSUPPORTED");
  assertStringIncludes(error.message, "devicemapper.loop_size");
});

for (
  const [options, said] of [
    [{ loop_size: "1m" }, "loop_size"],
    [{ loop_size: "much" }, "loop_size"],
    [{ loop_size: "1g", loop_max_size: "500m" }, "loop_max_size"],
    [{ loop_size: "1g", device: "/dev/x" }, "together"],
    [{ device: "sdb" }, "below /dev"],
    [{ thinpool: "pool" }, "GROUP/POOL"],
    [{ thinpool: "a/b/c" }, "GROUP/POOL"],
    [{ device: "/dev/x", loop_max_size: "1g" }, "loop_max_size"],
    [{ device: "/dev/x", fs: "btrfs" }, "ext4 or xfs"],
    [{ device: "/dev/x", fs: "xfs", base_size: "100m" }, "base_size"],
    [{ device: "/dev/x", min_free_percent: "95" }, "min_free_percent"],
    [{ device: "/dev/x", discard: "maybe" }, "on or off"],
    [{ device: "/dev/x", unknown: "1" }, "unknown"],
  ] as const
) {
  Deno.test(`the options ${JSON.stringify(options)} are refused`, () => {
    const error = assertThrows(() => parse(options), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, said);
  });
}
