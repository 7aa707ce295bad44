import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rwLimits } from "../../runtime/container/storage_options.ts";

const able = { name: "overlay", capabilities: { quota: true, inodeQuota: true } };
const spaceOnly = { name: "btrfs", capabilities: { quota: true } };
const unable = { name: "overlay", capabilities: { quota: false }, status: { quota: "tmpfs has no project quotas" } };

Deno.test("size= and inodes= are understood with their units, and nothing else is", () => {
  assertEquals(rwLimits({}, unable), {});
  assertEquals(rwLimits({ size: "10g" }, able), { size_bytes: 10 * 2 ** 30 });
  assertEquals(rwLimits({ size: "512" }, spaceOnly), { size_bytes: 512 });
  assertEquals(rwLimits({ size: "1m", inodes: "100k" }, able), { size_bytes: 2 ** 20, inodes: 100_000 });
  assertEquals(rwLimits({ inodes: "70" }, able), { inodes: 70 });
  for (const size of ["", "0", "-1g", "10x", "g", "1e3", "99999999999999999999", "NaN"]) {
    const error = assertThrows(() => rwLimits({ size }, able), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT", size);
  }
  for (const inodes of ["", "0", "1.5k", "-5", "10t", "k"]) {
    const error = assertThrows(() => rwLimits({ inodes }, able), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT", inodes);
  }
  const error = assertThrows(() => rwLimits({ quota: "1g" }, able), LaminaError, "Known: size, inodes");
  assertEquals(error.code, "INVALID_ARGUMENT");
});

Deno.test("a limit is refused where the driver cannot enforce it, with the reason", () => {
  const error = assertThrows(
    () => rwLimits({ size: "1g" }, unable),
    LaminaError,
    "overlay cannot enforce that here (tmpfs has no project quotas)",
  );
  assertEquals(error.code, "UNSUPPORTED");
  assertEquals(assertThrows(() => rwLimits({ inodes: "5" }, spaceOnly), LaminaError).code, "UNSUPPORTED");
});
