import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { smallTreeUsage, treeUsage } from "../../drivers/storage/layer/tree_usage.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { sh } from "./support/trees.ts";

rootTest("Usage counts blocks and inodes as du does, hard links once, mounts not at all", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir -p t/a t/m; head -c 100000 /dev/urandom > t/a/f; ln t/a/f t/g; truncate -s 10M t/sparse; ln -s f t/l; mknod t/p p
     sync -f .; mount -t tmpfs x t/m; head -c 50000 /dev/zero > t/m/inside`,
  );
  const [size, inodes] = (await sh(scratch.path, "du -xs -B1 t | cut -f1; du -xs --inodes t | cut -f1")).split("\n")
    .map(Number);
  // du counts the mount point's own directory neither.
  assertEquals(treeUsage(`${scratch.path}/t`), { size_bytes: size!, inodes: inodes! });
});

rootTest("Usage of a single file is its own", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "head -c 5000 /dev/urandom > f; sync -f .");
  assertEquals(treeUsage(`${scratch.path}/f`), { size_bytes: 8192, inodes: 1 });
  const error = assertThrows(() => treeUsage(`${scratch.path}/none`), LaminaError);
  assertEquals(error.code, "NOT_FOUND");
});

rootTest("A small tree is measured at once, a large one or one with a long directory is left to others", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  await sh(
    path,
    "mkdir -p small/a many/a long; head -c 9000 /dev/urandom > small/a/f; ln small/a/f small/g; sync -f .",
  );
  await sh(path, "cd many/a && seq 300 | xargs touch; cd ../../long && seq -f %0200g 300 | xargs touch");
  assertEquals(smallTreeUsage(`${path}/small`), treeUsage(`${path}/small`));
  assertEquals(smallTreeUsage(`${path}/many`), undefined);
  assertEquals(smallTreeUsage(`${path}/long`), undefined);
  assertThrows(() => smallTreeUsage(`${path}/none`), LaminaError);
});
