import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { reassembleJob } from "../../drivers/storage/layer/recipe_reader.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { apply, inlineContext, reassembled } from "./support/apply.ts";
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
  raw,
  symlink,
  whiteout,
} from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const FORMS = ["overlay", "overlay-user", "delete"] as const;
const text = (length: number, seed = 1) => new Uint8Array(length).map((_, i) => (i * seed * 2654435761 >>> 13) & 0xff);

const archives: Array<[what: string, bytes: Bytes]> = [
  ["ordinary entries", archive([dir("."), dir("d"), file("d/f", "hello"), symlink("l", "d/f"), file("empty", "")])],
  ["nothing", new Uint8Array(1024)],
  ["no end mark", archive([file("f", "x")], { end: false })],
  ["a last block that is not padded", archive([file("f", "x")], { end: false }).slice(0, 513)],
  ["a record of 10 KiB and rubbish behind the end", concat([archive([file("f", "x")]), text(10_000)])],
  ["padding that is not zeros", concat([entry(file("a", "x")).slice(0, 513), text(511), archive([file("b", "y")])])],
  [
    "long names, pax and global headers",
    archive([
      globalHeader({ comment: "c" }),
      gnuLong("L", "n".repeat(200)),
      file("f", "one"),
      file("g", "two", { pax: { mtime: "1.5", "SCHILY.xattr.user.x": "y" } }),
    ]),
  ],
  [
    "files of many sizes",
    archive([1, 511, 512, 513, 262_143, 262_144, 262_145, 1_000_000].map((n) => file(`f${n}`, text(n, n)))),
  ],
  ["a name twice", archive([file("f", "one"), file("f", "two"), file("f", "three")])],
  [
    "the same name as a file, a link and a directory",
    archive([
      file("f", "one"),
      symlink("f", "x"),
      file("f", "two"),
      dir("f"),
      file("f/g", "three"),
      file("f", "four"),
    ]),
  ],
  [
    "directories that are replaced with all in them",
    archive([
      dir("d"),
      file("d/a", "1"),
      dir("d/e"),
      file("d/e/b", text(600_000)),
      hardlink("keep", "d/e/b"),
      file("d", "gone"),
      dir("d"),
      file("d/a", "2"),
    ]),
  ],
  [
    "hard links, replaced targets and replaced links",
    archive([
      file("a", "one"),
      hardlink("b", "a"),
      file("a", "two"),
      file("b", "three"),
      hardlink("b", "a"),
      file("b", "four"),
      hardlink("c", "later"),
      file("later", "five"),
    ]),
  ],
  ["whiteouts with content", archive([{ ...whiteout("a"), data: "content" }, opaque("d"), file("d/f", "x")])],
  [
    "whiteouts of names that the layer has",
    archive([file("a", "x"), whiteout("a"), dir("d"), file("d/f"), opaque("d")]),
  ],
  [
    "AUFS's store and metadata",
    archive([
      file(".wh..wh.aufs", "meta"),
      dir(".wh..wh.plnk"),
      file(".wh..wh.plnk/1.1", "linked content"),
      hardlink("a", ".wh..wh.plnk/1.1"),
    ]),
  ],
  [
    "entries that are skipped",
    archive([
      { name: "sock", type: "s" },
      { name: "white", type: "3" },
      { name: "label", type: "V", data: "label data" },
    ]),
  ],
  [
    "files below links, and links that change",
    archive([
      dir("x"),
      dir("y"),
      symlink("l", "x"),
      file("l/f", "in x"),
      symlink("l", "y"),
      file("l/f", "in y"),
      file("x/f", "over the one in x"),
    ]),
  ],
  [
    "sparse files in pax",
    archive([
      file("s", "abcdef", { pax: { "GNU.sparse.size": "100000", "GNU.sparse.map": "10,4,90000,2" } }),
      file("holes", "", { pax: { "GNU.sparse.size": "100000", "GNU.sparse.map": "" } }),
      file("s", "replaced"),
      file("holes", "replaced"),
    ]),
  ],
  ["names that are no text", archive([file("\xff\n", "x"), file("\x80/\x81", "y")])],
];

for (const [what, bytes] of archives) {
  rootTest(`the recipe gives back, byte for byte, an archive with ${what}`, async () => {
    for (const form of FORMS) {
      await using scratch = await scratchDirectory();
      const [layer, recipePath] = [`${scratch.path}/layer`, `${scratch.path}/recipe`];
      const { diffId } = await apply(bytes, layer, { form, recipePath, chunk_bytes: 1000 });
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      assertEquals(diffId as string, `sha256:${digest.toHex()}`);
      assertEquals(reassembled(recipePath, layer), bytes, form);
      assertEquals([...Deno.readDirSync(scratch.path)].map(({ name }) => name).sort(), ["layer", "recipe"]);
    }
  });
}

rootTest(
  "the recipe gives back what GNU tar wrote, sparse files in every notation, links and long names included",
  async () => {
    await using scratch = await scratchDirectory();
    await sh(
      scratch.path,
      `mkdir src; cd src; truncate -s 20M holes; for i in $(seq 0 30); do echo "piece $i" | dd of=holes bs=64k seek=$((i * 7)) conv=notrunc status=none; done
     mkdir -p "$(printf 'd%0120d' 0)/x"; head -c 700000 /dev/urandom > noise; ln noise "$(printf 'd%0120d' 0)/x/link"; cp noise twice
     for v in 0.0 0.1 1.0; do tar -cSf ../$v.tar --format=posix --sparse-version=$v .; done; tar -cSf ../old.tar --format=gnu .
     cp ../old.tar ../twice.tar; echo other > twice; tar -rf ../twice.tar ./twice ./holes`,
    );
    for (const format of ["0.0", "0.1", "1.0", "old", "twice"]) {
      const bytes = await Deno.readFile(`${scratch.path}/${format}.tar`);
      const [layer, recipePath] = [`${scratch.path}/${format}`, `${scratch.path}/${format}.recipe`];
      await apply(bytes, layer, { recipePath });
      assert(concat([reassembled(recipePath, layer)]).every((byte, i) => byte === bytes[i]), format);
      assertEquals(reassembled(recipePath, layer).length, bytes.length);
    }
  },
);

rootTest("a recipe of a layer on others holds nothing of what was copied up", async () => {
  await using scratch = await scratchDirectory();
  const [below, layer, recipePath] = ["below", "layer", "recipe"].map((name) => `${scratch.path}/${name}`);
  await apply(archive([file("t", text(100_000))]), below!);
  const bytes = archive([hardlink("a", "t"), whiteout("gone")]);
  await apply(bytes, layer!, { lowers: [below!], recipePath });
  assertEquals(reassembled(recipePath!, layer!), bytes);
  assert(Deno.statSync(recipePath!).size < 2000);
});

rootTest(
  "a file that was changed, cut or deleted in the layer is DATA_LOSS, and the last chunk is never sent",
  async () => {
    for (
      const harm of [
        "echo other > d/f",
        "truncate -s 1 d/f",
        "rm d/f",
        "rm -r d; ln -s /etc d",
        "ln -sf /etc/passwd d/f",
      ]
    ) {
      await using scratch = await scratchDirectory();
      const [layer, recipePath] = [`${scratch.path}/layer`, `${scratch.path}/recipe`];
      const { diffId } = await apply(archive([dir("d"), file("d/f", "hello")]), layer, { recipePath });
      await sh(layer, harm);
      const context = inlineContext(new Uint8Array(0));
      let sent = 0;
      const job = reassembleJob({ recipePath, tree: layer, diffId }, {
        ...context,
        emitChunk: () => Promise.resolve(void sent++),
      });
      const error = await assertRejects(() => job, LaminaError, "Import the image again");
      assertEquals([error.code, sent], ["DATA_LOSS", 0], harm);
    }
  },
);

rootTest("a damaged recipe is DATA_LOSS, a missing one NOT_FOUND", async () => {
  await using scratch = await scratchDirectory();
  const [layer, recipePath] = [`${scratch.path}/layer`, `${scratch.path}/recipe`];
  const { diffId } = await apply(archive([file("f", "1"), file("f", text(5000))]), layer, { recipePath });
  const good = await Deno.readFile(recipePath);
  const harms: Array<(bytes: Bytes) => Bytes> = [
    (bytes) => bytes.slice(0, 10),
    (bytes) => bytes.slice(0, bytes.length - 3),
    (bytes) => bytes.map((byte, i) => i === 3 ? byte ^ 1 : byte),
    (bytes) => bytes.map((byte, i) => i >= 16 && i < 20 ? 0xff : byte),
    (bytes) => bytes.map((byte, i) => i > 30 && i < 60 ? 0 : byte),
    () => new Uint8Array(0),
    () => raw("LAMREC1\n\0\0\0\0\0\0\0\0"),
  ];
  for (const [index, harm] of harms.entries()) {
    await Deno.writeFile(recipePath, harm(good));
    const job = () => reassembleJob({ recipePath, tree: layer, diffId }, inlineContext(new Uint8Array(0)));
    const error = await assertRejects(job, LaminaError);
    assertEquals(error.code, "DATA_LOSS", `${index}: ${error.message}`);
  }
  await Deno.remove(recipePath);
  const job = () => reassembleJob({ recipePath, tree: layer, diffId }, inlineContext(new Uint8Array(0)));
  assertEquals((await assertRejects(job, LaminaError)).code, "NOT_FOUND");
});

rootTest("an archive that is refused leaves no recipe", async () => {
  await using scratch = await scratchDirectory();
  const bad: HandEntry[] = [file("f", "1"), file("f", "2"), { name: "../x" }];
  const recipePath = `${scratch.path}/recipe`;
  await assertRejects(() => apply(archive(bad), `${scratch.path}/layer`, { recipePath }), LaminaError);
  assertEquals([...Deno.readDirSync(scratch.path)].map(({ name }) => name), ["layer"]);
});

rootTest("the engine streams a layer's archive back from a worker", async () => {
  await using scratch = await scratchDirectory();
  await using engine = createLayerEngine();
  const bytes = archive([file("f", text(3_000_000)), file("g", "x")]);
  const [layer, recipePath] = [`${scratch.path}/layer`, `${scratch.path}/recipe`];
  const { diffId } = await apply(bytes, layer, { recipePath });
  const parts: Uint8Array[] = [];
  for await (const part of engine.tar({ kind: "recipe", recipePath, tree: layer, diffId }, backgroundOperation())) {
    parts.push(part);
  }
  assertEquals(concat(parts), bytes);
});
