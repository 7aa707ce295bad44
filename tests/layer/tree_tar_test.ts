import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { treeTar } from "../../drivers/storage/layer/tree_tar.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import {
  describeTree,
  gnuList,
  gnuNames,
  gnuUnpack,
  inDirectory,
  joined,
  makeDeepTree,
  makeRichTree,
  sh,
} from "./support/trees.ts";
import { removeTree } from "../../drivers/storage/layer/remove_tree.ts";

function tarOf(root: string, path = "/", options = {}): Uint8Array<ArrayBuffer> {
  return joined(treeTar({ root, path }, options));
}

rootTest("A tree's tar unpacks by GNU tar to the same tree", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  await gnuUnpack(tarOf(`${scratch.path}/rich`), `${scratch.path}/copy`);
  assertEquals(await describeTree(`${scratch.path}/copy`), await describeTree(`${scratch.path}/rich`));
});

rootTest("A tree's tar is the same whatever the order in which the tree was made", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  await sh(
    scratch.path,
    `mkdir other; (cd rich; find . -depth -print0 | shuf -z --random-source=/bin/sh | tar --null -T- --no-recursion -cf - \
      --format=posix --xattrs --xattrs-include='*') | tar -xpf - --xattrs --xattrs-include='*' -C other
     cd rich; find . -type d -print0 | while IFS= read -rd '' d; do touch -r "$d" "../other/$d"; done`,
  );
  // Which name of a hard-linked file is the first in an archive is no matter of the order of creation either.
  assertEquals(await describeTree(`${scratch.path}/other`), await describeTree(`${scratch.path}/rich`));
  assertEquals(tarOf(`${scratch.path}/other`), tarOf(`${scratch.path}/rich`));
});

rootTest("A tree's tar leaves sockets out and keeps FIFOs and devices", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mknod p p; mknod n c 1 3");
  using _listener = Deno.listen({ transport: "unix", path: `${scratch.path}/socket` });
  assertEquals(await gnuNames(tarOf(scratch.path)), ["./", "n", "p"]);
});

rootTest("One path of a tree is archived under the name asked for", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p a/b; echo x > a/b/file; echo y > a/top");
  const names = (path: string, as?: string) => gnuNames(joined(treeTar({ root: scratch.path, path, as })));
  assertEquals(await names("/a"), ["./", "b/", "b/file", "top"]);
  assertEquals(await names("/a/", "renamed"), ["renamed/", "renamed/b/", "renamed/b/file", "renamed/top"]);
  assertEquals(await names("/a/top"), ["top"]);
  assertEquals(await names("a/b/../top", "new"), ["new"]);
  assertThrows(() => tarOf(scratch.path, "/a/none"), LaminaError, "/a/none");
  assertThrows(() => tarOf(scratch.path, "/a/none/deeper"), LaminaError);
});

rootTest("No link in the path leads out of the tree, and a final link is archived as a link", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir -p root/etc root/srv outside; echo inside > root/etc/passwd; echo no > outside/secret
     ln -s /etc root/abs; ln -s ../../../../../outside root/srv/up; ln -s ${scratch.path}/outside root/direct`,
  );
  const root = `${scratch.path}/root`;
  assertEquals(await gnuNames(tarOf(root, "/abs/passwd")), ["passwd"]);
  assertEquals(await gnuNames(tarOf(root, "/../../etc/passwd")), ["passwd"]);
  assert((await gnuList(tarOf(root, "/abs"))).includes("abs -> /etc"));
  for (const path of ["/srv/up/secret", "/direct/secret"]) {
    const error = assertThrows(() => tarOf(root, path), LaminaError);
    assertEquals(error.code, "NOT_FOUND");
  }
});

rootTest("A tree's tar stays on one file system", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir -p t/proc t/vol t/etc o; mount -t tmpfs x t/vol; echo secret > t/vol/data
     echo host > o/hosts; touch t/etc/hosts; mount --bind o/hosts t/etc/hosts`,
  );
  assertEquals(await gnuNames(tarOf(`${scratch.path}/t`)), ["./", "etc/", "etc/hosts", "proc/", "vol/"]);
  assert((await gnuList(tarOf(`${scratch.path}/t`))).match(/ 0 [^\n]* etc\/hosts/));
  assertEquals(await gnuNames(tarOf(`${scratch.path}/t`, "/vol")), ["./", "data"]);
});

rootTest("Later times are clamped", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "touch -d @100.5 early; touch -d @300.5 late; touch -d @200 .");
  const list = await gnuList(tarOf(scratch.path, "/", { clampMtime_s: 200 }));
  assertEquals(list.match(/1970-01-01 [\d:.]+/g), [
    "1970-01-01 00:03:20",
    "1970-01-01 00:01:40.5",
    "1970-01-01 00:03:20",
  ]);
});

rootTest("A file that grows while it is read is cut at its announced size", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "head -c 2000000 /dev/zero > log; echo after > next");
  const chunks = [];
  for (const chunk of treeTar({ root: scratch.path, path: "/" })) {
    if (chunks.push(chunk) === 1) await sh(scratch.path, "head -c 5000000 /dev/zero >> log");
  }
  const list = await gnuList(joined(chunks));
  assert(list.includes(" 2000000 ") && list.includes("next"));
});

rootTest("A file that shrinks while it is read fails the archive by its name", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "head -c 2000000 /dev/zero > log");
  const error = await assertRejects(async () => {
    for (const _ of treeTar({ root: scratch.path, path: "/" })) await sh(scratch.path, ": > log");
  }, LaminaError);
  assertEquals(error.code, "CONFLICT");
  assert(error.message.includes('"/log"'));
});

rootTest("Files that vanish while the tree is read are left out", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "head -c 2000000 /dev/zero > a; mkdir d; touch d/x e f");
  const chunks = [];
  for (const chunk of treeTar({ root: scratch.path, path: "/" })) {
    if (chunks.push(chunk) === 1) await sh(scratch.path, "rm -r d e");
  }
  assertEquals(await gnuNames(joined(chunks)), ["./", "a", "f"]);
});

rootTest("A tree of 3,000 levels is archived", async () => {
  await using scratch = await scratchDirectory();
  makeDeepTree(scratch.path, 3000, "d");
  const names = await gnuNames(tarOf(scratch.path));
  assertEquals(names.length, 3002);
  assertEquals(names.at(-1), `${"d/".repeat(3000)}bottom`);
  removeTree(`${scratch.path}/d`);
});

rootTest("Abandoning an archive closes its files", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p a/b; head -c 2000000 /dev/zero > a/b/c");
  const before = inDirectory("/", (fd) => fd);
  for (const _ of treeTar({ root: scratch.path, path: "/a" })) break;
  // The lowest free descriptor is the one of before.
  assertEquals(inDirectory("/", (fd) => fd), before);
});
