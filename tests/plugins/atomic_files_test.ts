import { assertEquals, assertThrows } from "@std/assert";
import {
  checkAtomicFiles,
  dataDirectoryName,
  directoriesOf,
  isDataDirectoryName,
  planLinks,
  topNames,
  whyNotPath,
} from "../../runtime/core/atomic_files.ts";

function files(...paths: string[]) {
  return new Map(paths.map((path) => [path, { content: new Uint8Array(), mode: 0o644 }]));
}

Deno.test("paths that are no files of a volume are refused, each with its reason", () => {
  const table: Array<[path: string, why: string | undefined]> = [
    ["a", undefined],
    ["a/b/c.txt", undefined],
    ["a..b", undefined],
    ["a/..b", undefined],
    ["...", 'a path must not begin with ".."'],
    ["..", 'a path must not begin with ".."'],
    ["..data", 'a path must not begin with ".."'],
    ["../a", 'a path must not begin with ".."'],
    ["a/../b", 'the path must not contain ".."'],
    ["", "the path is empty"],
    ["/a", "the path must be relative"],
    ["a//b", "a part of the path is empty"],
    ["a/", "a part of the path is empty"],
    ["./a", "a part of the path is empty"],
    ["a\0b", "the path holds a NUL character"],
    ["x".repeat(255), undefined],
    ["x".repeat(256), "a name is longer than 255 bytes"],
    ["ä".repeat(128), "a name is longer than 255 bytes"],
    [Array(2048).fill("x").join("/"), undefined],
    [`${Array(2048).fill("x").join("/")}yy`, "the path is longer than 4096 bytes"],
  ];
  assertEquals(table.map(([path]) => whyNotPath(path)), table.map(([, why]) => why));
});

Deno.test("a file cannot be a directory of another file", () => {
  assertThrows(() => checkAtomicFiles(files("a", "a/b"), "volume"), Error, "a file and a directory at once");
  checkAtomicFiles(files("a", "ab/c"), "volume");
});

Deno.test("directories come parents first, and the names at the top once each", () => {
  const set = files("a/b/c", "a/b/d", "e", "f/g");
  assertEquals(directoriesOf(set), ["a", "a/b", "f"]);
  assertEquals(topNames(set), ["a", "e", "f"]);
});

Deno.test("a data directory is known by its name", () => {
  const name = dataDirectoryName(new Date("2026-11-22T18:30:05.123Z"), "0123456789");
  assertEquals(name, "..2026_11_22_18_30_05.0123456789");
  assertEquals(isDataDirectoryName(name), true);
  assertEquals(["..data", "..data_tmp", "2026_11_22_18_30_05.1", `${name}/x`].map(isDataDirectoryName), [
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("links are made, removed and kept; what is not ours is left alone", () => {
  const current = "..2026_11_22_18_30_05.2", old = "..2026_11_22_18_30_05.1";
  const entries = [
    { name: current },
    { name: old },
    { name: "..data", target: current },
    { name: "..data_tmp", target: old },
    { name: "kept", target: "..data/kept" },
    { name: "stale", target: "..data/stale" },
    { name: "foreign" },
    { name: "elsewhere", target: "/etc" },
  ];
  assertEquals(planLinks(entries, ["kept", "new", "elsewhere"], current), {
    make: ["new"],
    taken: ["elsewhere"],
    remove: ["stale"],
    leftovers: [old, "..data_tmp"],
  });
});
