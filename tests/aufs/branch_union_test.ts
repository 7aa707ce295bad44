import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { type Branch, formatBranches, parseBranches } from "../../drivers/storage/aufs/branch_union.ts";
import {
  canName,
  unionMounts,
  type UnionProgram,
  unionPrograms,
} from "../../drivers/storage/aufs/branch_union_mounts.ts";
import { LaminaError } from "../../runtime/core/errors.ts";

const good: ReadonlyArray<readonly [string[], string]> = [
  [["dir1=ro:dir2=rw"], "dir1=ro:dir2=rw"],
  [["dir1=ro", "dir2=rw"], "dir1=ro:dir2=rw"],
  [["a=rw:b=ro", "c=ro"], "a=rw:b=ro:c=ro"],
  [["a"], "a=rw"],
  [["a:b:c"], "a=rw:b=ro:c=ro"],
  [["/a:/b=rw"], "/a=rw:/b=rw"],
  [["a\\:b\\=c\\\\=ro"], "a\\:b\\=c\\\\=ro"],
  [["with space=ro"], "with space=ro"],
  [["ro=ro:rw=rw"], "ro=ro:rw=rw"],
];

for (const [texts, formatted] of good) {
  Deno.test(`branches ${texts.join(" ")} are read`, () => {
    assertEquals(formatBranches(parseBranches(texts)), formatted);
    assertEquals(parseBranches([formatted]), parseBranches(texts));
  });
}

const bad: ReadonlyArray<readonly [string[], RegExp]> = [
  [[], /at least one/],
  [[""], /a directory is missing/],
  [["=ro"], /a directory is missing/],
  [["a=ro:"], /a directory is missing/],
  [[":a=ro"], /a directory is missing/],
  [["a::b"], /a directory is missing/],
  [["a="], /neither =ro nor =rw/],
  [["a=rx"], /"=rx" is neither/],
  [["a=RO"], /"=RO" is neither/],
  [["a=ro=rw"], /"=ro=rw" is neither/],
  [["a=ro,b=rw"], /"=ro,b=rw" is neither/],
  [["a=ro+wh"], /neither =ro nor =rw/],
  [[Array.from({ length: 128 }, (_, i) => `d${i}`).join(":")], /127 branches at most/],
];

for (const [texts, why] of bad) {
  Deno.test(`branches ${JSON.stringify(texts).slice(0, 40)} are refused`, () => {
    const error = assertThrows(() => parseBranches(texts), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertMatch(error.message, why);
  });
}

const choices: ReadonlyArray<readonly [string, UnionProgram[]]> = [
  ["a=ro:b=rw", ["aufs", "mergerfs", "unionfs-fuse"]],
  ["a=rw:b=rw", ["aufs", "mergerfs", "unionfs-fuse"]],
  ["a=ro:b=ro", ["aufs", "mergerfs", "unionfs-fuse"]],
  ["a=rw", ["aufs", "mergerfs", "unionfs-fuse"]],
  ["a=rw:b=ro:c=ro", ["aufs", "fuse-overlayfs", "unionfs-fuse"]],
  ["a=ro:b=rw:c=ro", ["aufs", "unionfs-fuse"]],
  ["a=rw:b=ro:c=rw", ["aufs", "unionfs-fuse"]],
];

for (const [text, programs] of choices) {
  Deno.test(`${text} is united by ${programs.join(", ")}`, () => {
    assertEquals(unionPrograms(parseBranches([text])), programs);
  });
}

const places = (text: string) => ({
  id: "0123456789abcdef",
  branches: parseBranches([text]),
  target: "/mnt",
  helpers: "/h",
  work: "/w",
});

Deno.test("kernel aufs is told the branches as they are", () => {
  const { binds, union } = unionMounts("aufs", places("/d1=ro:/d2=rw"));
  assertEquals(binds, []);
  assertEquals(union, {
    type: "aufs",
    source: "lamina-union-0123456789abcdef",
    target: "/mnt",
    options: ["br=/d1=ro:/d2=rw"],
  });
});

Deno.test("mergerfs is given read-only binds of read-only branches and no minimum of free space", () => {
  const { binds, union } = unionMounts("mergerfs", places("/d1=ro:/d2=rw"));
  assertEquals(binds.map(({ source, target, options }) => [source, target, options[1]]), [
    ["/d1", "/h/0", "ro"],
    ["/d2", "/h/1", "rw"],
  ]);
  assertEquals(union.source, "/h/0=RO:/h/1=RW");
  assertEquals(union.options.slice(0, 3), [
    "category.create=ff",
    "fsname=lamina-union-0123456789abcdef",
    "minfreespace=0",
  ]);
});

Deno.test("a union without a writable branch is mounted read-only", () => {
  for (const program of ["aufs", "mergerfs", "unionfs-fuse"] as const) {
    assertEquals(unionMounts(program, places("/d1=ro:/d2=ro")).union.options[0], "ro");
  }
});

Deno.test("fuse-overlayfs writes to the first branch, unionfs-fuse copies to it", () => {
  assertEquals(unionMounts("fuse-overlayfs", places("/d1=rw:/d2=ro:/d3=ro")).union.options, [
    "lowerdir=/d2:/d3",
    "upperdir=/d1",
    "workdir=/w",
  ]);
  assertEquals(unionMounts("unionfs-fuse", places("/d1=rw:/d2=ro")).union.options[0], "cow");
  assertEquals(unionMounts("unionfs-fuse", places("/d1=ro:/d2=rw")).union.options.includes("cow"), false);
});

Deno.test("names that a program's options cannot carry are left to one that sees helper binds", () => {
  const branches: Branch[] = [{ directory: "/a:b", access: "rw" }];
  assertEquals(
    (["aufs", "mergerfs", "fuse-overlayfs", "unionfs-fuse"] as const).filter((program) => canName(program, branches)),
    ["mergerfs", "unionfs-fuse"],
  );
});
