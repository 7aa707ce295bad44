import { assert, assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { copyTree } from "../../drivers/storage/layer/copy_tree.ts";
import { removeTree } from "../../drivers/storage/layer/remove_tree.ts";
import { treeUsage } from "../../drivers/storage/layer/tree_usage.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { describeTree, makeDeepTree, makeRichTree, setAttribute, sh } from "./support/trees.ts";

rootTest("A copy is the same tree in everything that GNU tar sees", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  const usage = copyTree(`${scratch.path}/rich`, `${scratch.path}/copy`);
  assertEquals(await describeTree(`${scratch.path}/copy`), await describeTree(`${scratch.path}/rich`));
  await sh(scratch.path, "sync -f .");
  assertEquals(usage, treeUsage(`${scratch.path}/copy`));
});

rootTest("A copy fills an empty directory and refuses one that is not empty", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p from/a to full; touch from/a/f full/x; chmod 1777 from; touch -d @5 from");
  copyTree(`${scratch.path}/from`, `${scratch.path}/to`);
  assertEquals(await describeTree(`${scratch.path}/to`), await describeTree(`${scratch.path}/from`));
  const full = assertThrows(() => copyTree(`${scratch.path}/from`, `${scratch.path}/full`), LaminaError);
  assertEquals(full.code, "ALREADY_EXISTS");
  const none = assertThrows(() => copyTree(`${scratch.path}/none`, `${scratch.path}/x`), LaminaError);
  assertEquals(none.code, "NOT_FOUND");
  await sh(scratch.path, "test ! -e x; test $(ls full) = x");
});

rootTest("A single file is copied like a tree", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "echo x > f; chmod 4751 f; touch -d @7.5 f; ln -s f l");
  assertEquals(copyTree(`${scratch.path}/f`, `${scratch.path}/g`).inodes, 1);
  copyTree(`${scratch.path}/l`, `${scratch.path}/m`);
  assertEquals(await sh(scratch.path, "stat -c '%a %.3Y' g; readlink m; cat g"), "4751 7.500\nf\nx\n");
});

rootTest("Holes stay holes", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir from; truncate -s 50M from/all; truncate -s 50M from/some
     for at in 0 10000000 52428799; do printf x | dd of=from/some bs=1 seek=$at conv=notrunc status=none; done`,
  );
  const usage = copyTree(`${scratch.path}/from`, `${scratch.path}/to`);
  assert(usage.size_bytes < 200_000, `${usage.size_bytes} bytes`);
  await sh(scratch.path, "cmp from/all to/all; cmp from/some to/some");
});

rootTest("Sockets are left out, links are not followed, mounts are not entered", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p from/m; ln -s /etc from/host; mount -t tmpfs x from/m; touch from/m/inside");
  using _listener = Deno.listen({ transport: "unix", path: `${scratch.path}/from/socket` });
  copyTree(`${scratch.path}/from`, `${scratch.path}/to`);
  assertEquals(await sh(scratch.path, "find to -printf '%P %y\\n' | sort"), " d\nhost l\nm d\n");
});

rootTest("A tree of 3,000 levels is copied, hard links into its depth included", async () => {
  await using scratch = await scratchDirectory();
  await Deno.mkdir(`${scratch.path}/from`);
  makeDeepTree(`${scratch.path}/from`, 3000, "d");
  await sh(`${scratch.path}/from`, "find . -name bottom -execdir ln {} again \\; -execdir ln {} ../again \\;");
  const usage = copyTree(`${scratch.path}/from`, `${scratch.path}/to`);
  assertEquals(usage.inodes, 3002);
  assertEquals(
    await sh(scratch.path, "find to -type f -printf '%f %n %d\\n' | sort"),
    "again 3 3000\nagain 3 3001\nbottom 3 3001\n",
  );
  for (const name of ["from", "to"]) removeTree(`${scratch.path}/${name}`);
});

rootTest("A full disk is reported with the path that did not fit", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir from small; head -c 3M /dev/zero > from/big; mount -t tmpfs -o size=1M x small");
  const error = assertThrows(() => copyTree(`${scratch.path}/from`, `${scratch.path}/small/to`), LaminaError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assert(error.message.includes('"/big"'), error.message);
});

const hasXfs = /\txfs$/m.test(Deno.readTextFileSync("/proc/filesystems"));

rootTest(
  `Where the file system can, blocks are shared${hasXfs ? "" : " (not tried: this kernel has no XFS)"}`,
  async () => {
    if (!hasXfs) return;
    await using scratch = await scratchDirectory();
    await sh(scratch.path, "truncate -s 400M image; mkdir m; mkfs.xfs -q image; mount -o loop image m");
    await sh(`${scratch.path}/m`, "mkdir from; head -c 50M /dev/urandom > from/f; sync -f .");
    const before = Number(await sh(scratch.path, "df --output=used -B1 m | tail -1"));
    copyTree(`${scratch.path}/m/from`, `${scratch.path}/m/to`);
    const after = Number(await sh(scratch.path, "df --output=used -B1 m | tail -1"));
    assert(after - before < 5_000_000, `${after - before} more bytes`);
    await sh(`${scratch.path}/m`, "cmp from/f to/f");
  },
);

rootTest("A target without extended attributes is refused rather than losing them", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir from ram; touch from/f; mount -t ramfs x ram");
  setAttribute(scratch.path, "from/f", "user.x", "1");
  const error = assertThrows(() => copyTree(`${scratch.path}/from`, `${scratch.path}/ram/to`), LaminaError);
  assertEquals(error.code, "UNSUPPORTED");
});

rootTest("An abandoned copy ends at the next entry", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir from; cd from; touch $(seq 1000)");
  let checks = 0;
  assertThrows(
    () =>
      copyTree(`${scratch.path}/from`, `${scratch.path}/to`, {
        check: () => {
          if (++checks > 10) throw new LaminaError("CANCELLED", "enough");
        },
      }),
    LaminaError,
    "enough",
  );
  assert([...Deno.readDirSync(`${scratch.path}/to`)].length <= 10);
});
