import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { byteStringFromText } from "../../runtime/core/bytes.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { statxAt } from "../../runtime/host/fs_calls.ts";
import { AT_FDCWD } from "../../runtime/host/openat2.ts";
import { isPlaceholder, openPlaceholder } from "../../runtime/host/placeholders.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const isOne = (path: string) => isPlaceholder(statxAt(AT_FDCWD, byteStringFromText(path)));

rootTest("a placeholder is made with its directories, marked, and changes no time around it", async () => {
  await using scratch = await scratchDirectory();
  const root = scratch.path;
  const before = Deno.statSync(root).mtime;
  openPlaceholder(root, "/dev/disks/one")[Symbol.dispose]();
  openPlaceholder(root, "/dev/disks/two")[Symbol.dispose]();
  for (const path of ["dev", "dev/disks", "dev/disks/one", "dev/disks/two"]) {
    assertEquals(isOne(join(root, path)), true, path);
  }
  assertEquals([isOne(root), Deno.statSync(root).mtime], [false, before]);
  // What anybody puts there is theirs, and so is the directory then.
  Deno.writeTextFileSync(join(root, "dev/disks/file"), "");
  assertEquals([isOne(join(root, "dev/disks")), isOne(join(root, "dev"))], [false, true]);
  assertEquals(isOne(join(root, "dev/disks/file")), false);
});

rootTest("what is there is used as it is; what a crash has left half made is finished", async () => {
  await using scratch = await scratchDirectory();
  const root = scratch.path;
  Deno.writeTextFileSync(join(root, "own"), "");
  openPlaceholder(root, "/own")[Symbol.dispose]();
  assertEquals(isOne(join(root, "own")), false);
  Deno.writeTextFileSync(join(root, "half"), "", { mode: 0 });
  Deno.chmodSync(join(root, "half"), 0);
  openPlaceholder(root, "/half")[Symbol.dispose]();
  assertEquals(isOne(join(root, "half")), true);
  Deno.mkdirSync(join(root, "directory"));
  assertThrows(() => openPlaceholder(root, "/directory"), LaminaError, "is a directory, a file is needed");
});
