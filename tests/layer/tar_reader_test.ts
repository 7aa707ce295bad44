import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { type TarEntry, TarReader } from "../../drivers/storage/layer/tar_reader.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import {
  archive,
  chunked,
  concat,
  dir,
  entry,
  file,
  globalHeader,
  gnuLong,
  type HandEntry,
  hardlink,
  raw,
  seal,
  symlink,
} from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Read = TarEntry & { readonly data: string };

const limits = { maxPax_bytes: 1 << 16, maxPath_bytes: 4096 };

/** Entries with their data, and everything put together again as it came. */
async function read(bytes: Bytes, chunk_bytes = 1 << 16): Promise<{ entries: Read[]; again: Bytes }> {
  const parts: Bytes[] = [];
  const reader = new TarReader(chunked(bytes, chunk_bytes), limits, (bytes) => parts.push(bytes.slice()));
  const entries: Read[] = [];
  for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
    const data: Bytes[] = [];
    for (let piece = await reader.data(); piece !== undefined; piece = await reader.data()) data.push(piece.slice());
    parts.push(...data);
    entries.push({ ...found, data: new TextDecoder().decode(concat(data)) });
  }
  await reader.finish();
  return { entries, again: concat(parts) };
}

async function readOne(item: HandEntry | Bytes): Promise<Read> {
  const { entries } = await read(archive([item]));
  assertEquals(entries.length, 1);
  return entries[0]!;
}

const long = `${"d/".repeat(80)}${"f".repeat(120)}`;

const variants: Array<[what: string, item: HandEntry | Bytes, expected: Partial<Read>]> = [
  ["a ustar file", file("a", "text", { mode: 0o4755, uid: 7, gid: 8, mtime: 99 }), {
    name: "a" as Read["name"],
    type: "file",
    mode: 0o4755,
    uid: 7,
    gid: 8,
    size_bytes: 4,
    mtime: { s: 99, ns: 0 },
    data: "text",
  }],
  ["a v7 file (type NUL)", file("a", "x", { magic: "v7", type: "\0" }), { type: "file", data: "x" }],
  ["a v7 directory (slash at the end)", file("a/", "", { magic: "v7", type: "\0" }), { type: "directory" }],
  ["a contiguous file", file("a", "x", { type: "7" }), { type: "file", data: "x" }],
  ["a ustar prefix", file("f", "", { prefix: "some/where" }), { name: "some/where/f" as Read["name"] }],
  ["no prefix in GNU headers", file("f", "", { magic: "gnu", prefix: "junk" }), { name: "f" as Read["name"] }],
  ["a name of 100 bytes without NUL", file("n".repeat(100)), { name: "n".repeat(100) as Read["name"] }],
  ["a GNU long name", concat([gnuLong("L", long), entry(file("short"))]), { name: long as Read["name"] }],
  ["a GNU long link", concat([gnuLong("K", long), entry(symlink("l", "x"))]), { linkName: long as Read["name"] }],
  ["a pax path and link", symlink("l", "x", { pax: { path: long, linkpath: "pax" } }), {
    name: long as Read["name"],
    linkName: "pax" as Read["name"],
  }],
  [
    "a pax path over a GNU long name",
    concat([gnuLong("L", "gnu"), entry(file("f", "", { pax: { path: "pax" } }))]),
    { name: "pax" as Read["name"] },
  ],
  ["pax numbers", file("f", "12345", { size: 3, uid: 1, pax: { size: "5", uid: "3000000000", gid: "4000000000" } }), {
    size_bytes: 5,
    data: "12345",
    uid: 3_000_000_000,
    gid: 4_000_000_000,
  }],
  ["a pax time with nanoseconds", file("f", "", { pax: { mtime: "12.345678901234", atime: "3" } }), {
    mtime: { s: 12, ns: 345_678_901 },
    atime: { s: 3, ns: 0 },
  }],
  ["a pax time before 1970", file("f", "", { pax: { mtime: "-1.25" } }), { mtime: { s: -2, ns: 750_000_000 } }],
  ["a base-256 owner", file("f", "", { uid: 0xfffffffe, gid: 2 ** 31 }), { uid: 0xfffffffe, gid: 2 ** 31 }],
  ["a base-256 time before 1970", file("f", "", { mtime: -5 }), { mtime: { s: -5, ns: 0 } }],
  ["a base-256 size", file("f", "abc", { patch: (b) => b.set([128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3], 124) }), {
    data: "abc",
  }],
  ["numbers with blanks around", file("f", "", { patch: (b) => b.set(raw("  644 \0\0"), 100) }), { mode: 0o644 }],
  ["a number that fills its field", file("f", "", { patch: (b) => b.set(raw("00000644"), 100) }), { mode: 0o644 }],
  [
    "a checksum of signed bytes",
    file("\xe9", "", {
      spoil: (block) => {
        const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte << 24 >> 24), 0);
        block.set(raw(sum.toString(8).padStart(6, "0") + "\0 "), 148);
      },
    }),
    { name: "\xe9" as Read["name"] },
  ],
  ["a name in invalid UTF-8", file("\xff\xfe\n\x80"), { name: "\xff\xfe\n\x80" as Read["name"] }],
  ["a device", { name: "d", type: "3", major: 10, minor: 200 }, { type: "char", devMajor: 10, devMinor: 200 }],
  ["a block device", { name: "d", type: "4", major: 8, minor: 1 }, { type: "block", devMajor: 8, devMinor: 1 }],
  ["a FIFO", { name: "p", type: "6" }, { type: "fifo" }],
  ["a hard link that claims a size", { ...hardlink("h", "t"), size: 4096 }, { type: "hardlink", size_bytes: 0 }],
  ["a directory that claims a size", { ...dir("h"), size: 4096 }, { type: "directory", size_bytes: 0 }],
  ["a GNU volume label", { name: "label", type: "V" }, { type: "label" }],
];

for (const [what, item, expected] of variants) {
  Deno.test(`the tar reader understands ${what}`, async () => {
    const found = await readOne(item);
    const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, found[key as keyof Read]]));
    assertEquals(seen, expected as Record<string, unknown>);
  });
}

Deno.test("the tar reader gives extended attributes of GNU tar, star and libarchive as bytes", async () => {
  const value = new Uint8Array([0, 255, 10, 61]);
  const found = await readOne(file("f", "", {
    pax: { "SCHILY.xattr.user.a": value, "LIBARCHIVE.xattr.user.b%3Dc": btoa("\x00\xff") },
  }));
  assertEquals([...found.xattrs], [["user.a", value], ["user.b=c", new Uint8Array([0, 255])]] as never);
});

Deno.test("global pax records hold until they are taken back, and local ones come first", async () => {
  const { entries } = await read(archive([
    globalHeader({ uid: "5", comment: "git" }),
    file("a"),
    file("b", "", { pax: { uid: "6" } }),
    globalHeader({ uid: "" }),
    file("c"),
  ]));
  assertEquals(entries.map(({ uid }) => uid), [5, 6, 0]);
});

Deno.test("an archive without an end mark, cut right after its data, or with bytes behind its end, is read whole", async () => {
  const bare = archive([file("a", "hello")], { end: false });
  for (
    const bytes of [
      bare,
      bare.slice(0, 512 + 5),
      concat([bare, new Uint8Array(512)]),
      concat([bare, new Uint8Array(100)]),
      concat([bare, new Uint8Array(1024), raw("trailing garbage"), new Uint8Array(3000).fill(7)]),
      new Uint8Array(0),
      new Uint8Array(1024),
    ]
  ) {
    const { entries, again } = await read(bytes);
    assertEquals(entries.map(({ data }) => data), bytes.length > 0 && bytes[0] !== 0 ? ["hello"] : []);
    assertEquals(again, bytes);
  }
});

Deno.test("whatever the chunks, the same entries come out, and no byte gets lost", async () => {
  const bytes = archive([
    globalHeader({ comment: "x" }),
    dir("d"),
    file("d/a", "a".repeat(1500), { pax: { mtime: "1.5" } }),
    gnuLong("L", long),
    file("short", "b".repeat(512)),
    symlink("l", "d/a"),
    concat([...oldSparse()]),
    file("empty", ""),
  ]);
  const reference = await read(bytes);
  for (const size of [1, 7, 511, 512, 513, 4096]) {
    const { entries, again } = await read(bytes, size);
    assertEquals(entries, reference.entries);
    assertEquals(again, bytes);
  }
});

/** 26 pieces of 4 bytes, each at 1000 * i, in a file of 40,000 bytes: one header and two extension blocks. */
function oldSparse(): Bytes[] {
  const number = (block: Bytes, at: number, value: number) => block.set(raw(value.toString(8).padStart(11, "0")), at);
  const pieces = Array.from({ length: 26 }, (_, i) => [i * 1000, 4] as const);
  const head = entry(file("sparse", "", {
    type: "S",
    magic: "gnu",
    size: 26 * 4,
    patch: (block) => {
      pieces.slice(0, 4).forEach(([offset, length], i) => {
        number(block, 386 + i * 24, offset);
        number(block, 398 + i * 24, length);
      });
      block[482] = 1;
      number(block, 483, 40_000);
    },
  }));
  const extension = (from: number, more: boolean) => {
    const block = new Uint8Array(512);
    pieces.slice(from, from + 21).forEach(([offset, length], i) => {
      number(block, i * 24, offset);
      number(block, i * 24 + 12, length);
    });
    block[504] = more ? 1 : 0;
    return block;
  };
  return [head, extension(4, true), extension(25, false), raw("abcd".repeat(26)), new Uint8Array(512 - 104)];
}

Deno.test("an old GNU sparse file comes with its map, from all extension blocks", async () => {
  const found = await readOne(concat(oldSparse()));
  assertEquals([found.size_bytes, found.stored_bytes, found.data], [40_000, 104, "abcd".repeat(26)]);
  assertEquals(found.sparse, Array.from({ length: 26 }, (_, i) => [i * 1000, 4]).flat());
});

const paxSparse: Array<[version: string, item: HandEntry]> = [
  [
    "0.0",
    file("GNUSparseFile.0/s", "abcdef", {
      pax: [
        ["GNU.sparse.size", "100"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.offset", "10"],
        ["GNU.sparse.numbytes", "4"],
        ["GNU.sparse.offset", "90"],
        ["GNU.sparse.numbytes", "2"],
        ["GNU.sparse.name", "s"],
      ],
    }),
  ],
  [
    "0.1",
    file("GNUSparseFile.0/s", "abcdef", {
      pax: {
        "GNU.sparse.size": "100",
        "GNU.sparse.numblocks": "2",
        "GNU.sparse.map": "10,4,90,2",
        "GNU.sparse.name": "s",
      },
    }),
  ],
  [
    "1.0",
    file("GNUSparseFile.0/s", `${"2\n10\n4\n90\n2\n".padEnd(512, "\0")}abcdef`, {
      pax: {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "s",
        "GNU.sparse.realsize": "100",
      },
    }),
  ],
];
for (const [version, item] of paxSparse) {
  Deno.test(`a pax ${version} sparse file comes with its map and its own name`, async () => {
    const found = await readOne(item);
    assertEquals([found.name as string, found.size_bytes, found.data], ["s", 100, "abcdef"]);
    assertEquals(found.sparse, [10, 4, 90, 2]);
  });
}

rootTest("sparse files as GNU tar writes them are read in every format", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `truncate -s 3M s; for i in $(seq 0 40); do echo "piece $i" | dd of=s bs=1 seek=$((i * 65536)) conv=notrunc status=none; done
     for v in 0.0 0.1 1.0; do tar -cSf $v.tar --format=posix --sparse-version=$v s; done; tar -cSf old.tar --format=gnu s`,
  );
  for (const format of ["0.0", "0.1", "1.0", "old"]) {
    const { entries } = await read(await Deno.readFile(`${scratch.path}/${format}.tar`));
    assertEquals([entries.length, entries[0]!.name as string, entries[0]!.size_bytes], [1, "s", 3 << 20]);
    assert(entries[0]!.sparse!.length >= 82 && entries[0]!.data.includes("piece 40"), format);
  }
});

const malformed: Array<[what: string, bytes: Bytes, code: LaminaError["code"], message: string]> = [
  ["no tar at all", raw("hello world".repeat(100)), "INVALID_ARGUMENT", "byte 0"],
  ["a spoiled checksum", archive([file("a", "", { spoil: (b) => b[0]! ^= 1 })]), "INVALID_ARGUMENT", "checksum"],
  [
    "a size that is no number",
    archive([file("a", "", { patch: (b) => b.set(raw("zzz"), 124) })]),
    "INVALID_ARGUMENT",
    "size",
  ],
  ["a negative size", archive([file("a", "", { size: -1 })]), "INVALID_ARGUMENT", "negative"],
  [
    "a size beyond all numbers",
    archive([file("a", "", { patch: (b) => b.set([128, 255, 255, 255], 124) })]),
    "INVALID_ARGUMENT",
    "out of range",
  ],
  ["a cut header", archive([file("a", "x")]).slice(0, 300), "INVALID_ARGUMENT", "byte 0"],
  ["cut data", archive([file("a", "x".repeat(600))]).slice(0, 700), "INVALID_ARGUMENT", "lacks 412 bytes"],
  [
    "data that is cut and skipped",
    archive([file("a", "", { size: 10_000 })], { end: false }),
    "INVALID_ARGUMENT",
    "lacks",
  ],
  ["a lone block of zeros", concat([new Uint8Array(512), archive([file("a")])]), "INVALID_ARGUMENT", "lone block"],
  ["an unknown type", archive([file("a", "", { type: "Q" })]), "INVALID_ARGUMENT", 'type "Q"'],
  [
    "an extended header and no entry",
    archive([entry({ name: "x", type: "x", data: "11 path=ab\n" })]),
    "INVALID_ARGUMENT",
    "extended header only",
  ],
  [
    "a pax record that is too long",
    archive([entry({ name: "x", type: "x", data: "99 path=a\n" }), file("a")]),
    "INVALID_ARGUMENT",
    "malformed record",
  ],
  [
    "a pax record without length",
    archive([entry({ name: "x", type: "x", data: "path=a\n" }), file("a")]),
    "INVALID_ARGUMENT",
    "malformed record",
  ],
  [
    "a pax record without keyword",
    archive([entry({ name: "x", type: "x", data: "5 =a\n" }), file("a")]),
    "INVALID_ARGUMENT",
    "keyword",
  ],
  ["a pax name with NUL", archive([file("a", "", { pax: { path: "a\0b" } })]), "INVALID_ARGUMENT", "NUL"],
  ["a pax size that is no number", archive([file("a", "", { pax: { size: "-1" } })]), "INVALID_ARGUMENT", "no number"],
  ["a pax time that is none", archive([file("a", "", { pax: { mtime: "now" } })]), "INVALID_ARGUMENT", "no time"],
  ["a huge pax header", archive([entry({ name: "x", type: "x", size: 1 << 30 })]), "RESOURCE_EXHAUSTED", "65536"],
  ["a huge long name", archive([entry({ name: "x", type: "L", size: 1 << 30 })]), "RESOURCE_EXHAUSTED", "4097"],
  ["a long pax name", archive([file("a", "", { pax: { path: "p".repeat(5000) } })]), "RESOURCE_EXHAUSTED", "4096"],
  [
    "a sparse map out of order",
    archive([file("s", "ab", { pax: { "GNU.sparse.size": "9", "GNU.sparse.map": "5,1,2,1" } })]),
    "INVALID_ARGUMENT",
    "ascending",
  ],
  [
    "a sparse map beyond the file",
    archive([file("s", "ab", { pax: { "GNU.sparse.size": "9", "GNU.sparse.map": "8,2" } })]),
    "INVALID_ARGUMENT",
    "fit",
  ],
  [
    "a sparse map beyond the data",
    archive([file("s", "ab", { pax: { "GNU.sparse.size": "9", "GNU.sparse.map": "0,3" } })]),
    "INVALID_ARGUMENT",
    "fit",
  ],
  [
    "a sparse map of letters",
    archive([file("s", "ab", { pax: { "GNU.sparse.size": "9", "GNU.sparse.map": "a,b" } })]),
    "INVALID_ARGUMENT",
    "malformed",
  ],
];
for (const [what, bytes, code, message] of malformed) {
  Deno.test(`the tar reader refuses ${what}`, async () => {
    const error = await assertRejects(() => read(bytes), LaminaError, message);
    assertEquals(error.code, code);
  });
}

Deno.test("endless global headers stop at the limit", async () => {
  const many = Array.from({ length: 9 }, (_, i) => globalHeader({ [`comment${i}`]: "c".repeat(8000) }));
  const error = await assertRejects(() => read(archive([...many, file("a")])), LaminaError, "global");
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
});

Deno.test("a block is sealed as the reader expects it", async () => {
  const block = entry(file("a", ""));
  block[0] = 0x62;
  seal(block);
  assertEquals((await readOne(block)).name as string, "b");
});
