import { assertEquals, assertThrows } from "@std/assert";
import type { ByteString } from "../../runtime/core/bytes.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  escapeXattrName,
  guardAttributes,
  isOverlayControl,
  meaningOf,
  pathInRoot,
} from "../../drivers/storage/layer/entry_guard.ts";
import { PathSet } from "../../drivers/storage/layer/path_set.ts";
import type { TarEntry } from "../../drivers/storage/layer/tar_reader.ts";

const b = (text: string) => text as ByteString;

const names: Array<[name: string, path: string]> = [
  ["a/b", "a/b"],
  ["./a/b", "a/b"],
  ["a/b/", "a/b"],
  ["/a/b", "a/b"],
  ["//a//b//", "a/b"],
  ["a/./b/.", "a/b"],
  ["./", ""],
  [".", ""],
  ["/", ""],
  ["...", "..."],
  ["a/.b/..c/d..", "a/.b/..c/d.."],
  ["a\nb\xff", "a\nb\xff"],
];
for (const [name, path] of names) {
  Deno.test(`the name ${JSON.stringify(name)} means the path ${JSON.stringify(path)}`, () => {
    assertEquals(pathInRoot({ name: b(name) }, b(name)), b(path));
  });
}

for (const name of ["..", "../a", "a/..", "a/../b", "./../a", "/../a", "a/../../b", "", "a\0b"]) {
  Deno.test(`the name ${JSON.stringify(name)} is refused`, () => {
    const error = assertThrows(() => pathInRoot({ name: b(name) }, b(name)), LaminaError, "Refused the archive");
    assertEquals(error.code, "INVALID_ARGUMENT");
  });
}

const meanings: Array<[name: string, kind: string, path?: string]> = [
  ["a/b", "plain", "a/b"],
  [".wh.a", "whiteout", "a"],
  ["d/.wh.a", "whiteout", "d/a"],
  ["./d/.wh.a b", "whiteout", "d/a b"],
  ["d/.wh..hidden", "whiteout", "d/.hidden"],
  ["d/.wh.....", "whiteout", "d/...."],
  [".wh..wh..opq", "opaque", ""],
  ["./.wh..wh..opq", "opaque", ""],
  ["d/e/.wh..wh..opq", "opaque", "d/e"],
  [".wh.etc/somefile", "plain", ".wh.etc/somefile"],
  ["a/.wh.b/c", "plain", "a/.wh.b/c"],
  ["a.wh.b", "plain", "a.wh.b"],
  [".wh", "plain", ".wh"],
  [".wh..wh.plnk", "linkStore", ".wh..wh.plnk"],
  [".wh..wh.plnk/1.2", "linkStore", ".wh..wh.plnk/1.2"],
  [".wh..wh.aufs", "metadata"],
  [".wh..wh.orph/x", "metadata"],
  ["d/.wh..wh.aufs", "metadata"],
];
for (const [name, kind, path] of meanings) {
  Deno.test(`the entry ${JSON.stringify(name)} is a ${kind}`, () => {
    const meaning = meaningOf({ name: b(name), type: "file" });
    assertEquals([meaning.kind, "path" in meaning ? meaning.path : undefined], [kind, path]);
  });
}

for (const name of [".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh..."]) {
  Deno.test(`the whiteout ${JSON.stringify(name)} names no file and is refused`, () => {
    assertThrows(() => meaningOf({ name: b(name), type: "file" }), LaminaError, "names no file");
  });
}

const entry: TarEntry = {
  type: "file",
  name: b("e"),
  linkName: b(""),
  mode: 0,
  uid: 0,
  gid: 0,
  size_bytes: 0,
  stored_bytes: 0,
  mtime: { s: 0, ns: 0 },
  devMajor: 0,
  devMinor: 0,
  xattrs: new Map(),
};

const attributes: Array<[what: string, entry: Partial<TarEntry>, ok: boolean]> = [
  ["the largest owner", { uid: 0xfffffffe, gid: 0xfffffffe }, true],
  ["the uid that means nobody asked", { uid: 0xffffffff }, false],
  ["a gid beyond uint32", { gid: 2 ** 32 }, false],
  ["a negative uid", { uid: -1 }, false],
  ["the largest device", { type: "block", devMajor: 4095, devMinor: 1048575 }, true],
  ["a major number out of range", { type: "char", devMajor: 4096 }, false],
  ["a minor number out of range", { type: "char", devMinor: 1048576 }, false],
  ["a negative device", { type: "char", devMinor: -1 }, false],
  ["a device number on what is no device", { devMajor: 99999 }, true],
  ["an attribute without name", { xattrs: new Map([[b(""), new Uint8Array(1)]]) }, false],
  ["an attribute with NUL in its name", { xattrs: new Map([[b("user.a\0b"), new Uint8Array(1)]]) }, false],
  ["an attribute with a long name", { xattrs: new Map([[b("user.".padEnd(256, "x")), new Uint8Array(1)]]) }, false],
  ["a huge attribute", { xattrs: new Map([[b("user.a"), new Uint8Array(65537)]]) }, false],
];
for (const [what, fields, ok] of attributes) {
  Deno.test(`${what} is ${ok ? "accepted" : "refused"}`, () => {
    const guard = () => guardAttributes({ ...entry, ...fields });
    if (ok) guard();
    else assertEquals(assertThrows(guard, LaminaError, 'entry "e"').code, "INVALID_ARGUMENT");
  });
}

Deno.test("overlayfs's own attributes are escaped by its nesting rule, others are not", () => {
  for (
    const [name, stored] of [
      ["trusted.overlay.opaque", "trusted.overlay.overlay.opaque"],
      ["user.overlay.whiteout", "user.overlay.overlay.whiteout"],
      ["trusted.overlay.overlay.opaque", "trusted.overlay.overlay.overlay.opaque"],
      ["trusted.overlayfs", "trusted.overlayfs"],
      ["security.capability", "security.capability"],
      ["user.x", "user.x"],
    ]
  ) assertEquals(escapeXattrName(b(name!)), b(stored!));
  assertEquals(
    ["trusted.overlay.opaque", "trusted.overlay.overlay.opaque", "user.x"].map((n) => isOverlayControl(b(n))),
    [
      true,
      false,
      false,
    ],
  );
});

Deno.test("a path set holds what was added and not deleted, through its growth", () => {
  const set = new PathSet();
  const path = (i: number) => b(`some/path/${i}`);
  for (let i = 0; i < 20_000; i++) set.add(path(i));
  for (let i = 0; i < 20_000; i += 2) assertEquals(set.delete(path(i)), true);
  for (let i = 0; i < 20_000; i += 4) set.add(path(i));
  for (let i = 0; i < 20_000; i++) assertEquals(set.has(path(i)), i % 2 === 1 || i % 4 === 0);
  assertEquals([set.has(b("")), set.delete(b("x"))], [false, false]);
});
