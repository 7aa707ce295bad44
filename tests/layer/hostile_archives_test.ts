import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { apply, treeOf } from "./support/apply.ts";
import {
  archive,
  concat,
  dir,
  entry,
  file,
  globalHeader,
  gnuLong,
  type HandEntry,
  hardlink,
  opaque,
  symlink,
  whiteout,
} from "./support/tar_builder.ts";
import { describeTree, sh } from "./support/trees.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const FORMS = ["overlay", "overlay-user", "delete"] as const;

/**
 * A victim beside the layer's directory, which no archive may read or change. Symbolic links in the archives may use
 * `OUT` for its absolute path.
 */
async function withVictim(work: (scratch: string) => Promise<void>): Promise<void> {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    "mkdir victim victim/dir; echo secret > victim/file; chmod 600 victim/file; ln -s file victim/link",
  );
  const before = await describeTree(`${scratch.path}/victim`);
  await work(scratch.path);
  assertEquals(await describeTree(`${scratch.path}/victim`), before, "something outside the layer was changed");
  assertEquals(
    (await sh(scratch.path, "ls -A | grep -v layer || true")).trim(),
    "victim",
    "something was made outside",
  );
}

interface Attack {
  readonly what: string;
  readonly entries: (out: string) => Array<HandEntry | Bytes>;
  /** Part of the refusal; absent: it is accepted, inside the layer. */
  readonly refused?: string;
  /** What the layer holds afterwards; without `OUT`'s own directories. */
  readonly tree?: Record<string, string>;
}

const evil = file("ignored", "evil");
const named = (path: string, item: HandEntry = evil): HandEntry => ({ ...item, pax: { path } });

const attacks: Attack[] = [
  { what: "a name with ..", entries: () => [named("../victim/file")], refused: '".."' },
  { what: "a name with .. in the middle", entries: () => [dir("d"), named("d/../../victim/file")], refused: '".."' },
  { what: "a directory named ..", entries: () => [dir("..", { mode: 0o777 })], refused: '".."' },
  {
    what: "a long GNU name with ..",
    entries: () => [concat([gnuLong("L", "../victim/x"), entry(evil)])],
    refused: '".."',
  },
  {
    what: "a global pax path with ..",
    entries: () => [globalHeader({ path: "../victim/file" }), evil],
    refused: '".."',
  },
  { what: "a whiteout with ..", entries: () => [{ name: "../victim/.wh.file" }], refused: '".."' },
  { what: "an opaque mark with ..", entries: () => [opaque("../victim")], refused: '".."' },
  { what: "a hard link to ..", entries: () => [hardlink("h", "../victim/file")], refused: '".."' },
  { what: "a hard link to an absolute path", entries: (out) => [hardlink("h", `${out}/file`)], refused: "neither" },
  {
    what: "a hard link through a symbolic link",
    entries: (out) => [symlink("s", out), hardlink("h", "s/file")],
    refused: "neither",
  },
  {
    what: "a hard link through a symbolic link upwards",
    entries: () => [symlink("s", "../victim"), hardlink("h", "s/file")],
    refused: "neither",
  },
  {
    what: "a hard link to a symbolic link that leads out, then written to",
    entries: (out) => [symlink("s", `${out}/file`), hardlink("h", "s"), file("h", "evil")],
    tree: { h: "file evil", s: "-> OUT/file" },
  },
  { what: "a root that is a symbolic link", entries: (out) => [symlink(".", out), evil], refused: "root" },
  {
    what: "a root that is a symbolic link, by a slash",
    entries: (out) => [named("/", symlink("x", out))],
    refused: "root",
  },
  { what: "a root that is a file", entries: () => [{ name: ".", data: "evil" }], refused: "root" },
  { what: "a root that claims content", entries: () => [named("./"), file("f", "x")], tree: { f: "file x" } },
  { what: "a root that is a device", entries: () => [{ name: ".", type: "3", major: 1, minor: 3 }], refused: "root" },
  { what: "a root that is a hard link", entries: () => [evil, hardlink(".", "ignored")], refused: "root" },
  {
    what: "an absolute name",
    entries: () => [named("/abs/file")],
    tree: { abs: "dir", "abs/file": "file evil" },
  },
  {
    what: "a file below a symbolic link upwards",
    entries: () => [symlink("s", "../victim"), named("s/file")],
    tree: { s: "-> ../victim", victim: "dir", "victim/file": "file evil" },
  },
  {
    what: "a file below a chain of symbolic links",
    entries: () => [dir("d"), symlink("d/a", "../.."), symlink("b", "d/a/.."), named("b/victim/file")],
    tree: { b: "-> d/a/..", d: "dir", "d/a": "-> ../..", victim: "dir", "victim/file": "file evil" },
  },
  {
    what: "a parent that is replaced by a symbolic link between two entries",
    entries: () => [dir("d"), file("d/one", "1"), symlink("d", "../victim"), named("d/file")],
    tree: { d: "-> ../victim", victim: "dir", "victim/file": "file evil" },
  },
  {
    what: "a parent of a parent that is replaced by a symbolic link",
    entries: () => [dir("a"), dir("a/dir"), file("a/dir/x", "1"), symlink("a", "/victim"), named("a/dir/file")],
    tree: { a: "-> /victim", victim: "dir", "victim/dir": "dir", "victim/dir/file": "file evil" },
  },
  {
    what: "a link that is written over",
    entries: (out) => [symlink("f", `${out}/file`), file("f", "evil")],
    tree: { f: "file evil" },
  },
  {
    what: "a link that becomes a directory with another owner and mode",
    entries: (out) => [symlink("d", `${out}/dir`), dir("d", { mode: 0o777, uid: 5 }), file("d/x", "evil")],
    tree: { d: "dir", "d/x": "file evil" },
  },
  {
    what: "the mode, owner, times and attributes of a symbolic link",
    entries: (out) => [
      symlink("f", `${out}/file`, { mode: 0o777, uid: 5, gid: 6, mtime: 1, pax: { "SCHILY.xattr.user.x": "evil" } }),
    ],
    tree: { f: "-> OUT/file" },
  },
  {
    what: "a FIFO, a device and a link over links that lead out",
    entries: (out) => [
      symlink("p", `${out}/file`),
      { name: "p", type: "6", mode: 0o777 },
      symlink("c", `${out}/file`),
      { name: "c", type: "3", major: 1, minor: 3, mode: 0o777 },
      symlink("l", `${out}/dir`),
      symlink("l", `${out}/file`),
    ],
    tree: { c: "char 1:3", l: "-> OUT/file", p: "fifo" },
  },
  {
    what: "a link that leads in a circle",
    entries: () => [symlink("a", "b"), symlink("b", "a"), named("a/file")],
    refused: "",
  },
  {
    what: "a link to itself as a parent",
    entries: () => [symlink("a", "a/a"), named("a/file")],
    refused: "",
  },
];

for (const { what, entries, refused, tree } of attacks) {
  rootTest(`hostile archives: ${what} ${refused === undefined ? "stays inside" : "is refused"}`, async () => {
    for (const form of FORMS) {
      await withVictim(async (scratch) => {
        const out = `${scratch}/victim`;
        const bytes = archive(entries(out));
        const layer = `${scratch}/layer`;
        if (refused !== undefined) {
          const error = await assertRejects(() => apply(bytes, layer, { form }), LaminaError, refused);
          assertEquals(error.code, "INVALID_ARGUMENT");
          return;
        }
        await apply(bytes, layer, { form, lowers: [] });
        const found = Object.entries(treeOf(layer)).map(([path, text]) => [path, text.replace(out, "OUT")]);
        assertEquals(Object.fromEntries(found), tree!);
      });
    }
  });
}

rootTest("hostile archives: whiteouts and opaque marks through links delete nothing outside", async () => {
  for (const form of ["overlay", "delete"] as const) {
    for (const target of ["../victim", "OUT"]) {
      await withVictim(async (scratch) => {
        const link = symlink("s", target.replace("OUT", `${scratch}/victim`));
        await apply(archive([link, whiteout("s/file"), whiteout("s/dir"), opaque("s")]), `${scratch}/layer`, { form });
      });
    }
  }
});

rootTest(
  "hostile archives: what a parent layer links outwards is neither followed nor changed by a copy's whiteouts",
  async () => {
    await withVictim(async (scratch) => {
      const layer = `${scratch}/layer`;
      await apply(archive([symlink("s", `${scratch}/victim`), symlink("t", "../victim")]), layer);
      await apply(archive([opaque("s"), whiteout("t/file"), file("s/new", "x"), whiteout("t")]), layer, {
        form: "delete",
      });
      assertEquals(Object.keys(treeOf(layer)).includes("t"), false);
    });
  },
);

const limits: Array<
  [what: string, entries: Array<HandEntry | Bytes>, limits: Record<string, number>, message: string]
> = [
  ["too many entries", Array.from({ length: 11 }, (_, i) => file(`f${i}`, "")), { maxEntries: 10 }, "10 entries"],
  ["too many implied directories", [file("a/b/c/d/e/f/g/h/i/j/k/l", "")], { maxEntries: 10 }, "10 entries"],
  [
    "too many bytes of files",
    [file("a", "x".repeat(600)), file("b", "x".repeat(600))],
    { maxContent_bytes: 1000 },
    "1000 bytes",
  ],
  ["a huge hole", [file("s", "ab", { pax: { "GNU.sparse.size": "999999999999", "GNU.sparse.map": "0,2" } })], {
    maxContent_bytes: 1 << 30,
  }, "bytes"],
  ["too many bytes of archive", [file("a", "x".repeat(5000))], { maxTar_bytes: 4096 }, "4096 bytes"],
  ["a long name", [named("n/".repeat(100))], { maxPath_bytes: 100 }, "100 bytes"],
  [
    "a long link target",
    [symlink("l", "x", { pax: { linkpath: "t".repeat(200) } })],
    { maxPath_bytes: 100 },
    "100 bytes",
  ],
  ["a huge pax header", [file("a", "", { pax: { comment: "c".repeat(5000) } })], { maxPax_bytes: 4096 }, "4096 bytes"],
];
for (const [what, entries, own, message] of limits) {
  rootTest(`hostile archives: ${what} is RESOURCE_EXHAUSTED`, async () => {
    await using scratch = await scratchDirectory();
    const error = await assertRejects(
      () => apply(archive(entries), `${scratch.path}/layer`, { limits: own }),
      LaminaError,
      message,
    );
    assertEquals(error.code, "RESOURCE_EXHAUSTED");
  });
}

const numbers: Array<[what: string, item: HandEntry]> = [
  ["a uid beyond uint32", { ...evil, uid: 2 ** 32 }],
  ["a uid that means none", { ...evil, uid: 2 ** 32 - 1 }],
  ["a negative gid", { ...evil, gid: -1 }],
  ["a major number out of range", { name: "c", type: "3", major: 5000, minor: 1 }],
  ["a minor number out of range", { name: "b", type: "4", major: 1, minor: 2 ** 21 }],
  ["an owner in pax beyond uint32", { ...evil, pax: { uid: "4294967296" } }],
];
for (const [what, item] of numbers) {
  rootTest(`hostile archives: ${what} is an invalid archive`, async () => {
    await using scratch = await scratchDirectory();
    const error = await assertRejects(
      () => apply(archive([item]), `${scratch.path}/layer`),
      LaminaError,
      "out of range",
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
  });
}

rootTest("hostile archives: twenty thousand empty files take no more memory than a few", async () => {
  await using scratch = await scratchDirectory();
  const count = 20_000;
  const block = new TextEncoder();
  const template = entry(file("0000000", ""));
  const bytes = new Uint8Array(count * 512 + 1024);
  for (let i = 0; i < count; i++) {
    const at = i * 512;
    bytes.set(template, at);
    bytes.set(block.encode(`d${i % 10}/${String(i).padStart(7, "0")}`), at);
    let sum = 0;
    for (let j = 0; j < 512; j++) sum += j >= 148 && j < 156 ? 32 : bytes[at + j]!;
    bytes.set(block.encode(sum.toString(8).padStart(6, "0")), at + 148);
  }
  const result = await apply(bytes, `${scratch.path}/layer`);
  assertEquals([result.entries, result.inodes], [count, count + 11]);
  assert(Deno.memoryUsage().heapUsed < 200 << 20);
});
