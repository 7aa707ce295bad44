import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { apply, stat, treeOf, unpacked } from "./support/apply.ts";
import { archive, dir, file, hardlink, symlink } from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

rootTest("hard links: before the directory entry of their target, to links, to devices, in chains", async () => {
  await unpacked([
    file("d/t", "text"),
    hardlink("a", "d/t"),
    dir("d", { mode: 0o700, mtime: 3 }),
    symlink("s", "d/t"),
    hardlink("s2", "s"),
    { name: "null", type: "3", major: 1, minor: 3 },
    hardlink("null2", "./null"),
    hardlink("b", "/a"),
    hardlink("early", "late"),
    file("late", "late"),
  ], async (path) => {
    assertEquals(treeOf(path), {
      a: "file text",
      b: "file text",
      d: "dir",
      "d/t": "file text",
      early: "file late",
      late: "file late",
      null: "char 1:3",
      null2: "char 1:3",
      s: "-> d/t",
      s2: "-> d/t",
    });
    assertEquals(await stat(path, "%h", "a", "s", "null", "late"), ["3", "2", "2", "2"]);
    assertEquals(await stat(path, "%a %Y", "d"), ["700 3"]);
  });
});

rootTest("hard links into lower layers copy the target up and link it, attributes and holes included", async () => {
  await using scratch = await scratchDirectory();
  const [below, above, top] = ["below", "above", "top"].map((name) => `${scratch.path}/${name}`);
  await apply(
    archive([
      dir("d", { mode: 0o750, uid: 3, mtime: 11 }),
      file("d/t", "text", { mode: 0o4755, uid: 9, mtime: 12, pax: { "SCHILY.xattr.user.x": "1" } }),
      symlink("d/s", "t", { mtime: 13 }),
      file("gone", "gone"),
    ]),
    below!,
  );
  await apply(archive([{ name: "gone/.wh.x" }, file("d/u", "u")]), above!, { lowers: [below!] });
  await apply(
    archive([
      hardlink("a", "d/t"),
      hardlink("b", "d/t"),
      hardlink("c", "d/s"),
      { name: ".wh.d" },
      hardlink("e", "d/u"),
    ]),
    top!,
    { lowers: [above!, below!] },
  );
  // The layer hides `d`: its files live on under their new names only.
  assertEquals(treeOf(top!), { a: "file text", b: "file text", c: "-> t", d: "whiteout", e: "file u" });
  const again = `${scratch.path}/again`;
  await apply(archive([hardlink("a", "d/t"), hardlink("b", "d/t"), hardlink("c", "d/s")]), again, {
    lowers: [above!, below!],
  });
  assertEquals(treeOf(again), {
    a: "file text",
    b: "file text",
    c: "-> t",
    d: "dir",
    "d/s": "-> t",
    "d/t": "file text",
  });
  assertEquals(await stat(again, "%h %a %u %Y", "a", "b", "d/t"), Array(3).fill("3 4755 9 12"));
  assertEquals(await stat(again, "%a %u %Y", "d"), ["750 3 11"]);
  assertEquals(await sh(again, "getfattr --only-values -n user.x a"), "1");
});

const dangling: Array<[what: string, target: string, message: string]> = [
  ["what no layer holds", "nowhere", "neither this layer nor one below"],
  ["what a lower layer hides", "hidden", "neither this layer nor one below"],
  ["a directory below", "d", "directory"],
  ["the root", ".", "root"],
  ["what is outside", "../../etc/passwd", '".."'],
  ["what only the host has", "/etc/passwd", "neither this layer nor one below"],
];
for (const [what, target, message] of dangling) {
  rootTest(`a hard link to ${what} is refused`, async () => {
    await using scratch = await scratchDirectory();
    const [below, above, top] = ["below", "above", "top"].map((name) => `${scratch.path}/${name}`);
    await apply(archive([dir("d"), file("hidden")]), below!);
    await apply(archive([{ name: ".wh.hidden" }]), above!, { lowers: [below!] });
    const error = await assertRejects(
      () => apply(archive([hardlink("a", target)]), top!, { lowers: [above!, below!] }),
      LaminaError,
      message,
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
  });
}

rootTest("a directory that the archive does not name looks as it does in the layers below", async () => {
  await using scratch = await scratchDirectory();
  const [below, above, top] = ["below", "above", "top"].map((name) => `${scratch.path}/${name}`);
  const pax = { "SCHILY.xattr.user.x": "1" };
  await apply(
    archive([
      dir(".", { mode: 0o711, uid: 1, mtime: 5 }),
      dir("d", { mode: 0o700, uid: 3, gid: 4, mtime: 6, pax }),
      dir("d/e", { mode: 0o1777, mtime: 7 }),
      dir("gone", { mode: 0o700 }),
      dir("again", { mode: 0o700 }),
    ]),
    below!,
  );
  await apply(archive([{ name: ".wh.gone" }, { name: ".wh.again" }, dir("again", { mode: 0o750 })]), above!, {
    lowers: [below!],
  });
  await apply(
    archive([file("d/e/f"), file("gone/f", "", { mtime: 8 }), file("again/f"), { name: "d/.wh.nothing" }]),
    top!,
    { lowers: [above!, below!] },
  );
  assertEquals(await stat(top!, "%a %u %g %Y", ".", "d", "d/e"), ["711 1 0 5", "700 3 4 6", "1777 0 0 7"]);
  assertEquals(await stat(top!, "%a %u %g %Y", "gone"), ["755 0 0 8"]);
  assertEquals(await stat(top!, "%a", "again"), ["750"]);
  assertEquals(await sh(top!, "getfattr --only-values -n user.x d"), "1");
});

rootTest("a layer that names its directories needs no other layer", async () => {
  await using scratch = await scratchDirectory();
  const bytes = archive([dir("."), dir("d"), file("d/f"), file("g")]);
  const layer = { lowers: ["/nowhere"] };
  await apply(bytes, `${scratch.path}/layer`, layer); // would fail if it looked
  assertEquals(Object.keys(treeOf(`${scratch.path}/layer`)), ["d", "d/f", "g"]);
});

rootTest(
  "a link of the same layer to a directory that only lower layers have is followed into this layer",
  async () => {
    await using scratch = await scratchDirectory();
    const [below, above] = ["below", "above"].map((name) => `${scratch.path}/${name}`);
    await apply(archive([dir("usr"), dir("usr/lib", { mode: 0o750 })]), below!);
    await apply(
      archive([symlink("lib", "/usr/lib"), file("lib/x", "x"), symlink("up", "../../usr"), file("up/y", "y")]),
      above!,
      {
        lowers: [below!],
      },
    );
    assertEquals(treeOf(above!), {
      lib: "-> /usr/lib",
      up: "-> ../../usr",
      usr: "dir",
      "usr/lib": "dir",
      "usr/lib/x": "file x",
      "usr/y": "file y",
    });
    assertEquals(await stat(above!, "%a", "usr/lib"), ["750"]);
  },
);

rootTest(
  "a link of a lower layer is none of this layer's directories, in either form: it becomes one, with a warning",
  async () => {
    await using scratch = await scratchDirectory();
    const [below, above, copy] = ["below", "above", "copy"].map((name) => `${scratch.path}/${name}`);
    const lower = archive([dir("usr"), dir("usr/bin"), file("usr/bin/sh"), symlink("bin", "usr/bin")]);
    const layer = archive([{ name: "bin/.wh.sh" }, file("bin/app", "new")]);
    await apply(lower, below!);
    await apply(lower, copy!);
    const warned = [
      await apply(layer, above!, { lowers: [below!] }),
      await apply(layer, copy!, { form: "delete" }),
    ].map(({ warnings }) => warnings);
    const text =
      '"bin" is a symbolic link in a lower layer and becomes a directory, because this layer puts something below it';
    assertEquals(warned, [[text], [text]]);
    assertEquals(treeOf(above!), { bin: "dir", "bin/app": "file new" });
    assertEquals(treeOf(copy!), {
      bin: "dir",
      "bin/app": "file new",
      usr: "dir",
      "usr/bin": "dir",
      "usr/bin/sh": "file usr/bin/sh",
    });
  },
);
