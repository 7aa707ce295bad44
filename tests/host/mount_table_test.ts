import { assert, assertEquals } from "@std/assert";
import {
  isMounted,
  mountAtTarget,
  mountIdentity,
  readMountAt,
  readMountTable,
  watchMountTable,
} from "../../runtime/host/mount_table.ts";
import { mountHolding, pathMayHang } from "../../runtime/host/mount_source.ts";
import { parseMountInfo } from "../../runtime/core/mountinfo.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

async function tmpfs(target: string): Promise<void> {
  assertEquals((await runCommand("mount", ["-t", "tmpfs", "x", target])).code, 0);
}

Deno.test("the mount table has the root and where it is asked from", () => {
  const table = readMountTable();
  assert(mountAtTarget(table, "/proc") !== undefined);
  assertEquals(mountAtTarget(table, "/no/such/mount"), undefined);
});

rootTest("a new mount is seen at its target and by its identity", async () => {
  await using scratch = await scratchDirectory();
  const before = mountIdentity(scratch.path);
  assertEquals([isMounted(scratch.path), before.isRoot], [false, false]);
  await tmpfs(scratch.path);
  const after = mountIdentity(scratch.path);
  assertEquals([isMounted(scratch.path), after.isRoot, after.isDirectory], [true, true, true]);
  assert(before.id !== after.id);
});

rootTest("the mount at a path is found among those with similar names, whatever characters it has", async () => {
  await using scratch = await scratchDirectory();
  const targets = ["a", "a b", "a\\040b", "a\nb", "ab", "ü"].map((name) => `${scratch.path}/${name}`);
  for (const target of targets) await Deno.mkdir(target);
  await tmpfs(targets[4]!);
  assertEquals(targets.map((target) => readMountAt(target)?.target), targets.map((t, at) => at === 4 ? t : undefined));
  for (const target of targets) await tmpfs(target);
  for (const target of targets) assertEquals(readMountAt(target), mountAtTarget(readMountTable(), target));
  // A directory on the way was renamed: the kernel calls that no change of the table.
  await Deno.mkdir(`${targets[0]}/before/x`, { recursive: true });
  await tmpfs(`${targets[0]}/before/x`);
  assertEquals(readMountAt(`${targets[0]}/before/x`)?.type, "tmpfs");
  await Deno.rename(`${targets[0]}/before`, `${targets[0]}/after`);
  assertEquals(readMountAt(`${targets[0]}/after/x`)?.type, "tmpfs");
  assertEquals(readMountAt(`${targets[0]}/before/x`), undefined);
});

rootTest("watching the mount table wakes after each change and sleeps in between", async () => {
  await using scratch = await scratchDirectory();
  const abort = new AbortController();
  const changes = watchMountTable(abort.signal);
  let next = changes.next();
  // Other tests may mount meanwhile: one quiet interval is enough.
  for (let tries = 0, woken = true; woken; tries++) {
    assert(tries < 200, "woken although nothing changed");
    await next;
    next = changes.next();
    woken = false;
    next.then(() => woken = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await tmpfs(scratch.path);
  assertEquals((await next).done, false);
  // What changes while nobody waits is seen by the next wait.
  await runCommand("umount", [scratch.path]);
  assertEquals((await changes.next()).done, false);
  const last = changes.next();
  abort.abort();
  assertEquals((await last).done, true);
});

Deno.test("watching with an aborted signal ends at once", async () => {
  assertEquals((await watchMountTable(AbortSignal.abort()).next()).done, true);
});

Deno.test("the mount that holds a path is the longest, last one above it", () => {
  const table = parseMountInfo([
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
    "2 1 0:5 / /data rw - nfs4 server:/x rw",
    "3 1 0:6 / /data/local rw - tmpfs x rw",
    "4 1 0:7 / /database rw - fuse.sshfs x rw",
  ].join("\n"));
  const cases: Array<[string, number, boolean]> = [
    ["/", 1, false],
    ["/etc", 1, false],
    ["/data", 2, true],
    ["/data/x", 2, true],
    ["/data/local/x", 3, false],
    ["/database/x", 4, true],
    ["/databases", 1, false],
  ];
  for (const [path, id, hangs] of cases) {
    assertEquals([mountHolding(table, path)?.id, pathMayHang(table, path)], [id, hangs], path);
  }
});
