import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { printTree } from "../contract/support/tree_print.ts";
import { apply, treeOf } from "./support/apply.ts";
import { withOverlay } from "./support/overlays.ts";
import { archive, dir, file, type HandEntry, hardlink, opaque, symlink, whiteout } from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

/** A layer on top of another: what its directory holds in overlay form, and what a container sees of both. */
interface Case {
  readonly what: string;
  readonly lower: readonly HandEntry[];
  readonly layer: readonly HandEntry[];
  readonly upper: Record<string, string>;
  readonly seen: Record<string, string>;
}

const base = [dir("d"), file("d/x", "old"), file("d/y", "old"), dir("d/e"), file("d/e/z", "old"), file("f", "old")];
const baseSeen = { d: "dir", "d/e": "dir", "d/e/z": "file old", "d/x": "file old", "d/y": "file old", f: "file old" };

const cases: Case[] = [
  {
    what: "a whiteout hides a file of the layer below",
    lower: base,
    layer: [whiteout("f"), whiteout("d/x")],
    upper: { d: "dir", "d/x": "whiteout", f: "whiteout" },
    seen: { d: "dir", "d/e": "dir", "d/e/z": "file old", "d/y": "file old" },
  },
  {
    what: "a whiteout hides a whole directory",
    lower: base,
    layer: [whiteout("d")],
    upper: { d: "whiteout" },
    seen: { f: "file old" },
  },
  {
    what: "a whiteout before the file of its name hides only the old one",
    lower: base,
    layer: [whiteout("f"), file("f", "new")],
    upper: { f: "file new" },
    seen: { ...baseSeen, f: "file new" },
  },
  {
    what: "a whiteout after the file of its name hides only the old one",
    lower: base,
    layer: [file("f", "new"), whiteout("f")],
    upper: { f: "file new" },
    seen: { ...baseSeen, f: "file new" },
  },
  {
    what: "a whiteout before a directory of its name hides what the old one held",
    lower: base,
    layer: [whiteout("d"), dir("d"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "a whiteout after a directory of its name hides what the old one held",
    lower: base,
    layer: [dir("d"), file("d/n", "new"), whiteout("d")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "a directory of the layer that replaces a file needs no whiteout, a file that replaces a directory neither",
    lower: base,
    layer: [dir("f"), file("f/n", "new"), file("d", "new")],
    upper: { d: "file new", f: "dir", "f/n": "file new" },
    seen: { d: "file new", f: "dir", "f/n": "file new" },
  },
  {
    what: "an opaque directory hides all that was in it, its mark coming first",
    lower: base,
    layer: [dir("d"), opaque("d"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "an opaque directory hides all that was in it, its mark coming last",
    lower: base,
    layer: [dir("d"), file("d/n", "new"), dir("d/e"), file("d/e/m", "new"), opaque("d")],
    upper: { d: "dir opaque", "d/e": "dir", "d/e/m": "file new", "d/n": "file new" },
    seen: { d: "dir", "d/e": "dir", "d/e/m": "file new", "d/n": "file new", f: "file old" },
  },
  {
    what: "an opaque mark makes its directory although the archive does not name it",
    lower: base,
    layer: [opaque("d/e")],
    upper: { d: "dir", "d/e": "dir opaque" },
    seen: { d: "dir", "d/e": "dir", "d/x": "file old", "d/y": "file old", f: "file old" },
  },
  {
    what: "opaque at the root hides everything below",
    lower: base,
    layer: [opaque(""), file("n", "new")],
    upper: { "": "dir opaque", d: "whiteout", f: "whiteout", n: "file new" },
    seen: { n: "file new" },
  },
  {
    what: "opaque at the root hides what was in directories that the layer has as well",
    lower: base,
    layer: [dir("d"), file("d/n", "new"), opaque("")],
    upper: { "": "dir opaque", d: "dir opaque", "d/n": "file new", f: "whiteout" },
    seen: { d: "dir", "d/n": "file new" },
  },
  {
    what: "a whiteout inside an opaque directory leaves no device node",
    lower: base,
    layer: [dir("d"), whiteout("d/x"), opaque("d"), whiteout("d/e/z"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "a whiteout inside a directory below an opaque one leaves no device node",
    lower: base,
    layer: [opaque("d"), dir("d/e"), whiteout("d/e/z"), file("d/e/n", "new")],
    upper: { d: "dir opaque", "d/e": "dir", "d/e/n": "file new" },
    seen: { d: "dir", "d/e": "dir", "d/e/n": "file new", f: "file old" },
  },
  {
    what: "whiteouts in a layer that is opaque at its root leave no device nodes",
    lower: base,
    layer: [whiteout("f"), whiteout("d/x"), opaque("")],
    upper: { "": "dir opaque", d: "whiteout", f: "whiteout" },
    seen: {},
  },
  {
    what: "a whiteout under a whited-out parent neither fails nor resurrects the parent, parent first",
    lower: base,
    layer: [whiteout("d"), whiteout("d/x"), whiteout("d/e/z")],
    upper: { d: "whiteout" },
    seen: { f: "file old" },
  },
  {
    what: "a whiteout under a whited-out parent neither fails nor resurrects the parent, parent last",
    lower: base,
    layer: [whiteout("d/e/z"), whiteout("d/x"), whiteout("d")],
    upper: { d: "whiteout" },
    seen: { f: "file old" },
  },
  {
    what: "an opaque mark under a whited-out parent does not resurrect it",
    lower: base,
    layer: [opaque("d"), whiteout("d")],
    upper: { d: "whiteout" },
    seen: { f: "file old" },
  },
  {
    what: "a whiteout of a symbolic link hides the link and not its target",
    lower: [...base, symlink("l", "f")],
    layer: [whiteout("l")],
    upper: { l: "whiteout" },
    seen: baseSeen,
  },
  {
    what: "a whiteout below a dead symbolic link does nothing",
    lower: [...base, symlink("l", "nowhere")],
    layer: [symlink("dead", "nowhere"), whiteout("dead/x")],
    upper: { dead: "-> nowhere" },
    seen: { ...baseSeen, dead: "-> nowhere", l: "-> nowhere" },
  },
  {
    what: "a whiteout below a file of the same layer does nothing",
    lower: base,
    layer: [file("f", "new"), whiteout("f/x")],
    upper: { f: "file new" },
    seen: { ...baseSeen, f: "file new" },
  },
  {
    what: "the prefix on a directory is an ordinary name",
    lower: base,
    layer: [dir(".wh.etc"), file(".wh.etc/somefile", "new"), file("d/.wh.e/m", "new")],
    upper: {
      ".wh.etc": "dir",
      ".wh.etc/somefile": "file new",
      d: "dir",
      "d/.wh.e": "dir",
      "d/.wh.e/m": "file new",
    },
    seen: {
      ...baseSeen,
      ".wh.etc": "dir",
      ".wh.etc/somefile": "file new",
      "d/.wh.e": "dir",
      "d/.wh.e/m": "file new",
    },
  },
  {
    what: "a whiteout of what is not there is harmless",
    lower: base,
    layer: [whiteout("nothing"), whiteout("no/where")],
    upper: {},
    seen: baseSeen,
  },
  {
    what: "a whiteout with content, as an odd name, of a name with blanks and newlines is a whiteout",
    lower: [...base, file("odd\n name", "old")],
    layer: [{ ...whiteout("odd\n name"), data: "content" }],
    upper: { "odd\n name": "whiteout" },
    seen: baseSeen,
  },
  {
    what: "a file that replaces a whited-out directory and back again",
    lower: base,
    layer: [whiteout("d"), file("d", "new"), dir("d"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "a file that becomes a directory within the layer leaves nothing of the old directory",
    lower: base,
    layer: [file("d", "new"), dir("d"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "a hard link that becomes a directory within the layer leaves nothing of the old directory",
    lower: base,
    layer: [hardlink("d", "f"), file("d/n", "new")],
    upper: { d: "dir opaque", "d/n": "file new" },
    seen: { d: "dir", "d/n": "file new", f: "file old" },
  },
  {
    what: "an opaque mark in what is a file below does nothing",
    lower: base,
    layer: [opaque("f")],
    upper: {},
    seen: baseSeen,
  },
  {
    what: "AUFS's metadata are left out, and hard links to its store still resolve",
    lower: base,
    layer: [
      file(".wh..wh.aufs", ""),
      dir(".wh..wh.plnk"),
      file(".wh..wh.plnk/21.57", "linked"),
      dir(".wh..wh.orph"),
      hardlink("one", ".wh..wh.plnk/21.57"),
      hardlink("d/two", ".wh..wh.plnk/21.57"),
    ],
    upper: { d: "dir", "d/two": "file linked", one: "file linked" },
    seen: { ...baseSeen, "d/two": "file linked", one: "file linked" },
  },
];

for (const { what, lower, layer, upper, seen } of cases) {
  rootTest(`${what}: in overlay form, and the kernel shows it so`, async () => {
    await using scratch = await scratchDirectory();
    const [below, above] = [`${scratch.path}/lower`, `${scratch.path}/layer`];
    await apply(archive(lower), below);
    await apply(archive(layer), above, { lowers: [below] });
    assertEquals(treeOf(above), upper);
    assertEquals(await withOverlay(scratch.path, [above, below], (path) => Promise.resolve(treeOf(path))), seen);
  });

  rootTest(`${what}: in a copy of the parent`, async () => {
    await using scratch = await scratchDirectory();
    await apply(archive(lower), scratch.path + "/tree");
    await apply(archive(layer), scratch.path + "/tree", { form: "delete" });
    assertEquals(treeOf(scratch.path + "/tree"), seen);
  });
}

for (
  const [what, entries] of [
    ["before", [whiteout("d"), file("d/n")]],
    ["after", [file("d/n"), whiteout("d")]],
    ["by a file, before", [file("d"), file("d/n")]],
    ["by an opaque root, before", [opaque(""), file("d/n")]],
    ["by an opaque root, after", [file("d/n"), opaque("")]],
  ] as const
) {
  rootTest(`a directory that the layer hides (${what}) and only implies is a new one`, async () => {
    await using scratch = await scratchDirectory();
    const lower = archive([dir("d", { mode: 0o700, uid: 7, pax: { "SCHILY.xattr.user.a": "b" } }), file("d/x")]);
    const [below, above, tree] = ["below", "above", "tree"].map((name) => `${scratch.path}/${name}`);
    await apply(lower, below!);
    await apply(archive(entries), above!, { lowers: [below!] });
    await apply(lower, tree!);
    await apply(archive(entries), tree!, { form: "delete" });
    const look = (path: string) => Promise.resolve(printTree(path));
    const flat = await look(tree!);
    assertEquals([flat.get("/d"), [...flat.keys()]], ["directory 755 0:0", ["/", "/d", "/d/n"]]);
    assertEquals(await withOverlay(scratch.path, [above!, below!], look), flat);
  });
}

rootTest("in a user namespace's form opaque is a user attribute and whiteouts are the same", async () => {
  await using scratch = await scratchDirectory();
  await apply(archive([opaque("d"), whiteout("f")]), scratch.path, { form: "overlay-user" });
  assertEquals(treeOf(scratch.path), { d: "dir opaque", f: "whiteout" });
  assertEquals(await sh(scratch.path, "getfattr --only-values -n user.overlay.opaque d"), "y");
});

for (const name of [".wh.", ".wh..", ".wh...", "d/.wh."]) {
  rootTest(`a layer with the whiteout ${JSON.stringify(name)} is refused in every form`, async () => {
    for (const form of ["overlay", "overlay-user", "delete"] as const) {
      await using scratch = await scratchDirectory();
      const error = await assertRejects(
        () => apply(archive([{ name }]), scratch.path, { form }),
        LaminaError,
        "names no file",
      );
      assertEquals(error.code, "INVALID_ARGUMENT");
    }
  });
}

rootTest("an opaque mark in a tree of several layers hides all of them, and times of directories stay", async () => {
  await using scratch = await scratchDirectory();
  const layers = [
    [dir("d", { mtime: 1000 }), file("d/a")],
    [file("d/b")],
    [opaque("d"), file("d/c")],
    [file("d/e")],
  ];
  const lowers: string[] = [];
  for (const [i, layer] of layers.entries()) {
    const path = `${scratch.path}/l${i}`;
    await apply(archive(layer), path, { lowers: [...lowers] });
    lowers.unshift(path);
  }
  const seen = await withOverlay(scratch.path, lowers, async (path) => [
    Object.keys(treeOf(path)),
    (await sh(path, "stat -c %Y d")).trim(),
  ]);
  assertEquals(seen, [["d", "d/c", "d/e"], "1000"]);
});
