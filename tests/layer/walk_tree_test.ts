import { assert, assertEquals } from "@std/assert";
import type { ByteString } from "../../runtime/core/bytes.ts";
import { removeTree } from "../../drivers/storage/layer/remove_tree.ts";
import { TreeWalk, walkTree } from "../../drivers/storage/layer/walk_tree.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { bytes, inDirectory, makeDeepTree, makeFile, sh } from "./support/trees.ts";

function pathsOf(directory: string, options = {}): string[] {
  return inDirectory(
    directory,
    (fd) => [...walkTree(fd, options)].map((node) => node.phase === "leave" ? `<${node.path}` : node.path),
  );
}

rootTest("walkTree gives directories before and after their sorted content", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p b/y b/x a; touch b/x/2 b/x/1 b.txt c");
  assertEquals(pathsOf(scratch.path), [
    "",
    "a",
    "<a",
    "b",
    "b/x",
    "b/x/1",
    "b/x/2",
    "<b/x",
    "b/y",
    "<b/y",
    "<b",
    "b.txt",
    "c",
    "<",
  ]);
});

rootTest("walkTree keeps names that are no text byte for byte", async () => {
  await using scratch = await scratchDirectory();
  const names = ["\xff\xfe", "new\nline", "\xc3\xa9", "n".repeat(255), " ", "\\", "\x01"].map(bytes);
  for (const name of names) makeFile(scratch.path, name);
  const found = pathsOf(scratch.path).filter((path) => path !== "" && path !== "<");
  assertEquals(found, names.sort());
});

rootTest("walkTree never follows a symbolic link", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir real tree; touch real/file; ln -s ../real tree/link; ln -s / tree/host");
  assertEquals(pathsOf(`${scratch.path}/tree`), ["", "host", "link", "<"]);
});

rootTest("walkTree stops at mount points unless told to cross them", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    "mkdir -p t/m t/b o; touch o/other; mount -t tmpfs x t/m; touch t/m/inside; mount --bind o t/b",
  );
  assertEquals(pathsOf(`${scratch.path}/t`), ["", "b", "m", "<"]);
  assertEquals(pathsOf(`${scratch.path}/t`, { crossMounts: true }), [
    "",
    "b",
    "b/other",
    "<b",
    "m",
    "m/inside",
    "<m",
    "<",
  ]);
  assertEquals(pathsOf(`${scratch.path}/t/m`), ["", "inside", "<"]);
});

rootTest("walkTree goes 3,000 levels deep with few descriptors", async () => {
  await using scratch = await scratchDirectory();
  makeDeepTree(scratch.path, 3000);
  const before = openDescriptors();
  let most = 0, deepest = 0, left = 0, bottom = "";
  inDirectory(scratch.path, (fd) => {
    for (const node of walkTree(fd)) {
      if (node.depth % 500 === 0) most = Math.max(most, openDescriptors());
      deepest = Math.max(deepest, node.depth);
      if (node.phase === "leave") left++;
      if (node.status.type === "file") bottom = node.path;
    }
  });
  assertEquals([deepest, left], [3001, 3001]);
  assertEquals(bottom.length, 3000 * 5 + 6);
  assert(most - before < 60, `${most - before} descriptors`);
  assertEquals(openDescriptors(), before);
  removeTree(`${scratch.path}/deep`);
  assertEquals([...Deno.readDirSync(scratch.path)], []);
});

rootTest("walkTree leaves out what vanishes under it", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p a b/c d; touch e f");
  const seen: ByteString[] = [];
  inDirectory(scratch.path, (fd) => {
    for (const node of walkTree(fd)) {
      if (node.phase === "enter") seen.push(node.path);
      if (node.path === "a" && node.phase === "leave") removeTree(`${scratch.path}/b`);
      if (node.path === "d" && node.phase === "enter") Deno.removeSync(`${scratch.path}/e`);
    }
  });
  assertEquals(seen, ["", "a", "d", "f"].map(bytes));
});

rootTest("A walk can skip a directory, end early and be closed", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p a/x b/y c");
  const before = openDescriptors();
  inDirectory(scratch.path, (fd) => {
    using walk = new TreeWalk(fd);
    const seen: string[] = [];
    for (let node = walk.next(); node !== undefined && node.path !== "b/y"; node = walk.next()) {
      seen.push(node.path);
      if (node.path === "a" && node.phase === "enter") walk.skip();
    }
    assertEquals(seen, ["", "a", "a", "b"]);
  });
  assertEquals(openDescriptors(), before);
});

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
