import { assertEquals } from "@std/assert";
import { guestSuites, needsGuest } from "./guest_suites.ts";

Deno.test("modules share a guest by what they need, and those with zfs come last", () => {
  const suites = guestSuites([
    "tests/zfs/contract_guest_test.ts",
    "tests/quota/project_quota_guest_test.ts",
    "tests/differential/zfs_guest_test.ts",
    "tests/devicemapper/contract_guest_test.ts",
    "tests/differential/devicemapper_guest_test.ts",
  ]);
  assertEquals(suites.map(({ name, files, zfs }) => [name, files.length, zfs]), [
    ["devicemapper contract", 1, false],
    ["devicemapper", 1, false],
    ["others", 1, false],
    ["zfs", 1, true],
    ["zfs contract", 1, true],
  ]);
});

Deno.test("modules that run in a guest or boot one take no place among the host's", () => {
  const files = ["tests/x/a_guest_test.ts", "tests/vm/guest_test.ts", "tests/vm/power_cut_test.ts"];
  assertEquals(files.map(needsGuest), [true, true, true]);
  assertEquals(["tests/vm/guest_suites_test.ts", "tests/core/bytes_test.ts"].map(needsGuest), [false, false]);
});
