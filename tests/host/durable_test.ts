import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { runCommand } from "../../runtime/host/command.ts";
import {
  makeDirectoryDurably,
  renameDurably,
  syncDirectory,
  syncFileSystem,
  writeFileDurably,
} from "../../runtime/host/durable.ts";
import { libcTest, rootTest, scratchDirectory } from "../support/scratch.ts";

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
}

Deno.test("a file is replaced as a whole, with its mode, and no temporary file is left", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/file`;
  await writeFileDurably(path, "one");
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  await writeFileDurably(path, new Uint8Array(3_000_000).fill(65), { mode: 0o644 });
  assertEquals([(await Deno.stat(path)).size, (await Deno.stat(path)).mode! & 0o777], [3_000_000, 0o644]);
  await writeFileDurably(path, "");
  assertEquals(await Deno.readTextFile(path), "");
  assertEquals(names(scratch.path), ["file"]);
});

Deno.test("many writers of one file leave one of their contents", async () => {
  await using scratch = await scratchDirectory();
  const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(contents.map((content) => writeFileDurably(`${scratch.path}/f`, content)));
  assert(contents.includes(await Deno.readTextFile(`${scratch.path}/f`)));
  assertEquals(names(scratch.path), ["f"]);
});

Deno.test("directories are made with their mode whatever the umask; existing ones stay as they are", async () => {
  await using scratch = await scratchDirectory();
  const before = Deno.umask(0o077);
  try {
    await makeDirectoryDurably(`${scratch.path}/a/b/c`, 0o711);
    for (const name of ["a", "a/b", "a/b/c"]) {
      assertEquals((await Deno.stat(`${scratch.path}/${name}`)).mode! & 0o777, 0o711);
    }
    await makeDirectoryDurably(`${scratch.path}/a/b`, 0o700);
    assertEquals((await Deno.stat(`${scratch.path}/a/b`)).mode! & 0o777, 0o711);
    await Promise.all(Array.from({ length: 10 }, () => makeDirectoryDurably(`${scratch.path}/x/y/z`)));
  } finally {
    Deno.umask(before);
  }
});

Deno.test("a rename moves between directories", async () => {
  await using scratch = await scratchDirectory();
  await makeDirectoryDurably(`${scratch.path}/to`);
  await writeFileDurably(`${scratch.path}/from`, "x");
  await renameDurably(`${scratch.path}/from`, `${scratch.path}/to/f`);
  assertEquals(await Deno.readTextFile(`${scratch.path}/to/f`), "x");
});

libcTest("a whole file system is synced off the main thread", async () => {
  await using scratch = await scratchDirectory();
  await Deno.writeTextFile(`${scratch.path}/f`, "x");
  await Promise.all([syncFileSystem(scratch.path), syncFileSystem(`${scratch.path}/f`)]);
});

Deno.test("what is in the way is named", async () => {
  await using scratch = await scratchDirectory();
  await Deno.writeTextFile(`${scratch.path}/f`, "x");
  const cases: Array<[() => Promise<void>, string]> = [
    [() => makeDirectoryDurably(`${scratch.path}/f`), "CONFLICT"],
    [() => makeDirectoryDurably(`${scratch.path}/f/g`), "CONFLICT"],
    [() => writeFileDurably(`${scratch.path}/none/f`, "x"), "NOT_FOUND"],
    [() => renameDurably(`${scratch.path}/none`, `${scratch.path}/g`), "NOT_FOUND"],
    [() => syncDirectory(`${scratch.path}/none`), "NOT_FOUND"],
    [() => syncFileSystem(`${scratch.path}/none`), "NOT_FOUND"],
    [() => writeFileDurably(`${scratch.path}/${"n".repeat(300)}`, "x"), "INVALID_ARGUMENT"],
  ];
  for (const [attempt, code] of cases) {
    const error = await assertRejects(attempt, LaminaError);
    assertEquals(error.code, code, error.message);
    assert(error.message.includes(scratch.path));
  }
  assertEquals(names(scratch.path), ["f"]);
});

rootTest("a full disk is told, leaves the old file, and nothing besides", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=64k", "x", scratch.path]);
  await writeFileDurably(`${scratch.path}/f`, "old");
  const error = await assertRejects(
    () => writeFileDurably(`${scratch.path}/f`, "x".repeat(200_000)),
    LaminaError,
  );
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assertEquals(await Deno.readTextFile(`${scratch.path}/f`), "old");
  assertEquals(names(scratch.path), ["f"]);
});

rootTest("a read-only file system is told", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "ro", "x", scratch.path]);
  const attempts = [() => writeFileDurably(`${scratch.path}/f`, "x"), () => makeDirectoryDurably(`${scratch.path}/d`)];
  for (const attempt of attempts) assertEquals((await assertRejects(attempt, LaminaError)).code, "UNAVAILABLE");
});
