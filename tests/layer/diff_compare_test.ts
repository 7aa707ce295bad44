import { assert, assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { compareChanges, compareOrder, compareTar } from "../../drivers/storage/layer/diff_compare.ts";
import { copyTree } from "../../drivers/storage/layer/copy_tree.ts";
import { publicChange } from "../../drivers/storage/layer/tree_change.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { bytes, describeTree, gnuNames, gnuUnpack, joined, makeRichTree, setAttribute, sh } from "./support/trees.ts";

const LETTER = { added: "A", modified: "C", deleted: "D" } as const;

function lines(parent: string | undefined, tree: string): string[] {
  return [...compareChanges({ kind: "compare", tree, parent })].map(publicChange)
    .map(({ kind, path }) => `${LETTER[kind]} ${path}`);
}

/** `before` is made by one script, `after` is a copy of it changed by another. */
async function twoTrees(directory: string, make: string, change: string): Promise<[string, string]> {
  const before = `${directory}/before`, after = `${directory}/after`;
  await Deno.mkdir(before);
  await sh(before, make);
  copyTree(before, after);
  await sh(after, change);
  return [before, after];
}

rootTest("An exact copy has no changes, and its archive is empty", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  copyTree(`${scratch.path}/rich`, `${scratch.path}/copy`);
  await sh(scratch.path, "touch -d @1 copy");
  assertEquals(lines(`${scratch.path}/rich`, `${scratch.path}/copy`), []);
  const tar = joined(compareTar({ kind: "compare", tree: `${scratch.path}/copy`, parent: `${scratch.path}/rich` }));
  assertEquals(tar, new Uint8Array(1024));
});

rootTest("Added, modified and deleted paths are listed with their parents", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(
    scratch.path,
    "mkdir -p a/b c/d e/f/g; touch a/b/x a/y c/d/z e/f/g/h",
    "echo more > a/b/x; touch a/b/new; rm -r c/d; mkdir n; touch n/m; ln -s x link",
  );
  assertEquals(lines(before, after), [
    "C /a",
    "C /a/b",
    "A /a/b/new",
    "C /a/b/x",
    "C /c",
    "D /c/d",
    "A /link",
    "A /n",
    "A /n/m",
  ]);
  const tar = joined(compareTar({ kind: "compare", tree: after, parent: before }));
  assertEquals(await gnuNames(tar), ["./", "a/", "a/b/", "a/b/new", "a/b/x", "c/", "c/.wh.d", "link", "n/", "n/m"]);
});

rootTest("A change in place marks its parents, whose times it leaves alone", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(scratch.path, "mkdir -p a/b; echo x > a/b/f; touch a/z", "echo y > a/b/f");
  assertEquals(lines(before, after), ["C /a", "C /a/b", "C /a/b/f"]);
});

rootTest("A deletion marks its parents even when their times were put back", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(
    scratch.path,
    "mkdir -p a/b z; touch a/b/f a/b/g z/last",
    "rm a/b/g; touch -r ../before/a/b a/b; rm z/last; touch -r ../before/z z",
  );
  assertEquals(lines(before, after), ["C /a", "C /a/b", "D /a/b/g", "C /z", "D /z/last"]);
});

rootTest("Every attribute counts", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(
    scratch.path,
    `touch mode own time xattr same; ln -s a link; mknod dev c 1 3; mkdir dmode dtime; mkfifo type
     touch -h -d @100.000000001 *`,
    `chmod 4755 mode; chown 1:2 own; touch -d @100.000000002 time; ln -sfn b link; touch -h -d @100.000000001 link
     rm dev; mknod dev c 1 5; touch -d @100.000000001 dev; chmod 700 dmode; touch dtime; rm type; mkdir type`,
  );
  setAttribute(after, "xattr", "user.x", "1");
  assertEquals(lines(before, after), [
    "C /dev",
    "C /dmode",
    "C /dtime",
    "C /link",
    "C /mode",
    "C /own",
    "C /time",
    "C /type",
    "C /xattr",
  ]);
});

rootTest("A same-size edit is found by its content when the times are whole seconds and equal", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(
    scratch.path,
    "printf aaaa > f; head -c 600000 /dev/zero > big; cp big big2; touch -d @1700000000 f big big2",
    `printf bbbb > f; printf x | dd of=big bs=1 seek=599999 conv=notrunc status=none; printf x | dd of=big2 bs=1 seek=7 \\
       conv=notrunc status=none; touch -d @1700000000 f big big2`,
  );
  assertEquals(lines(before, after), ["C /big", "C /big2", "C /f"]);
});

rootTest("Files and directories that take each other's place are modified", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(
    scratch.path,
    "mkdir -p d/sub; touch d/sub/x f; mkdir l; touch l/y",
    "rm -r d f l; echo > d; mkdir -p f/new; ln -s /etc l",
  );
  assertEquals(lines(before, after), ["C /d", "C /f", "A /f/new", "C /l"]);
  const tar = joined(compareTar({ kind: "compare", tree: after, parent: before }));
  assertEquals(await gnuNames(tar), ["./", "d", "f/", "f/new/", "l"]);
});

rootTest("Without a parent everything is added, and the archive is the tree", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  const tar = joined(compareTar({ kind: "compare", tree: `${scratch.path}/rich` }));
  await gnuUnpack(tar, `${scratch.path}/copy`);
  assertEquals(await describeTree(`${scratch.path}/copy`), await describeTree(`${scratch.path}/rich`));
  assert(lines(undefined, `${scratch.path}/rich`).every((line) => line.startsWith("A ")));
});

rootTest("A file that is named like a whiteout is refused in a layer", async () => {
  await using scratch = await scratchDirectory();
  const [before, after] = await twoTrees(scratch.path, "touch a", "touch .wh.a");
  const error = assertThrows(() => joined(compareTar({ kind: "compare", tree: after, parent: before })), LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
});

Deno.test("compareOrder is the order of a walk", () => {
  const walk = ["", "a", "a/b", "a/b/c", "a/b!", "a!", "a-b", "a0", "b", "\xff"].map(bytes);
  assertEquals([...walk].reverse().sort(compareOrder), walk);
});
