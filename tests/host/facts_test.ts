import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import * as facts from "../../runtime/host/host_facts.ts";
import { isRoot, rootTest, scratchDirectory } from "../support/scratch.ts";

rootTest("a file system's size, free space, type and flags are as statfs says", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=1m,nosuid,nr_inodes=100", "x", scratch.path]);
  await Deno.writeFile(`${scratch.path}/f`, new Uint8Array(256 * 1024));
  const status = fileSystemStatus(scratch.path);
  assertEquals([status.type, status.total_bytes, status.used_bytes], ["tmpfs", 1 << 20, 256 * 1024]);
  assertEquals([status.available_bytes, status.totalInodes, status.freeInodes], [768 * 1024, 100, 98]);
  assertEquals(status.flags & 2, 2);
});

Deno.test("the state of a missing path is a clear error", () => {
  assertEquals(assertThrows(() => fileSystemStatus("/no/such/path"), LaminaError).code, "NOT_FOUND");
});

Deno.test("kernel versions compare by number", () => {
  const cases: Array<[string, number, number, boolean]> = [
    ["6.18.44-fc", 6, 7, true],
    ["6.7.0", 6, 7, true],
    ["6.1.0-18-amd64", 6, 7, false],
    ["5.15.0", 6, 1, false],
    ["10.0", 6, 7, true],
    ["strange", 1, 0, false],
  ];
  for (const [release, major, minor, expected] of cases) {
    assertEquals(facts.kernelAtLeast(major, minor, release), expected, release);
  }
});

Deno.test("the facts of this machine are there", async () => {
  assertMatch(facts.kernelVersion(), /^\d+\.\d+/);
  assert(["amd64", "arm64"].includes(facts.architecture()));
  assert(facts.knownFileSystems().has("proc"));
  assert(facts.residentMemory_bytes() > 10 * 2 ** 20);
  assertMatch(facts.bootId(), /^[0-9a-f-]{36}$/);
  assertMatch(await facts.mountProgramVersion() ?? "", /^\d+\.\d+/);
  assertEquals(facts.isRoot(), isRoot);
  if (isRoot && !facts.inUserNamespace()) assert(facts.effectiveCapabilities().has("chown"));
});

Deno.test("file system types are read with and without a device", () => {
  assertEquals([...facts.parseFileSystems("nodev\tproc\n\text4\nnodev\toverlay\n")], ["proc", "ext4", "overlay"]);
});
