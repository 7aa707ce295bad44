import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { acquireRootLock, lockHolder } from "../../runtime/host/root_lock.ts";
import { libcTest, rootTest, scratchDirectory } from "../support/scratch.ts";
import { runCommand } from "../../runtime/host/command.ts";

libcTest("the second opener of a root is told the holder's pid", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lock`;
  const lock = acquireRootLock(path);
  assertEquals(await Deno.readTextFile(path), `${Deno.pid}\n`);
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  const error = assertThrows(() => acquireRootLock(path), LaminaError);
  assertEquals([error.code, error.details.holder_pid], ["UNAVAILABLE", Deno.pid]);
  assertStringIncludes(error.message, String(Deno.pid));
  lock[Symbol.dispose]();
  lock[Symbol.dispose]();
  using _again = acquireRootLock(path);
});

Deno.test("the lock ends with its process, and its pid is the kernel's word rather than the file's", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lock`;
  await Deno.writeTextFile(path, "");
  const child = new Deno.Command("flock", {
    args: ["-x", "-o", path, "-c", "echo locked; read -r _"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await Deno.writeTextFile(path, "1\n");
  const error = assertThrows(() => acquireRootLock(path), LaminaError);
  assertEquals(error.details.holder_pid, child.pid);
  child.kill("SIGKILL");
  await child.status;
  using _now = acquireRootLock(path);
  await child.stdin.close();
  await reader.cancel();
});

Deno.test("a program that is started while the lock is held does not inherit it", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lock`;
  const lock = acquireRootLock(path);
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    lock[Symbol.dispose]();
    using _again = acquireRootLock(path);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

Deno.test("a root that is not there, or a link in the lock's place, is a clear error", async () => {
  await using scratch = await scratchDirectory();
  assertEquals(assertThrows(() => acquireRootLock(`${scratch.path}/none/lock`), LaminaError).code, "NOT_FOUND");
  await Deno.symlink("/etc/passwd", `${scratch.path}/lock`);
  assertEquals(assertThrows(() => acquireRootLock(`${scratch.path}/lock`), LaminaError).code, "INVALID_ARGUMENT");
});

rootTest("a root on a read-only file system is unavailable", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "ro", "x", scratch.path]);
  const error = assertThrows(() => acquireRootLock(`${scratch.path}/lock`), LaminaError);
  assertEquals(error.code, "UNAVAILABLE");
  assertStringIncludes(error.message, "read-only");
});

Deno.test("the holder of a lock is found by device and inode", () => {
  const text = [
    "1: POSIX  ADVISORY  WRITE 11 fe:00:42 0 EOF",
    "2: FLOCK  ADVISORY  WRITE 12 07:01:42 0 EOF",
    "2: -> FLOCK  ADVISORY  WRITE 13 fe:00:42 0 EOF",
    "3: FLOCK  ADVISORY  WRITE 14 fe:00:42 0 EOF",
    "",
  ].join("\n");
  assertEquals(lockHolder(text, 0xfe00, 42), 14);
  assertEquals(lockHolder(text, 0x0701, 42), 12);
  assertEquals(lockHolder(text, 0x0702, 42), undefined);
  assertEquals(lockHolder(text, 0xfe00, 43), undefined);
});
