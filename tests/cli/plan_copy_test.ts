import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { parseOperand, type PathKind, planCopy, splitPath } from "../../runtime/cli/copy/plan_copy.ts";

Deno.test("cp tells containers, local paths and pipes apart as docker cp does", () => {
  const container = (name: string, path: string) => ({ kind: "container", container: name, path }) as const;
  const local = (path: string) => ({ kind: "local", path }) as const;
  const cases = [
    ["-", { kind: "stdio" }],
    ["shop:/etc", container("shop", "/etc")],
    ["shop:etc/passwd", container("shop", "/etc/passwd")],
    ["shop:/a:b", container("shop", "/a:b")],
    ["file", local("file")],
    ["./a:b", local("./a:b")],
    ["/a:b", local("/a:b")],
    ["..", local("..")],
  ] as const;
  for (const [text, operand] of cases) assertEquals(parseOperand(text) as unknown, operand, text);
  for (const text of [":/etc", "shop:", ":"]) assertThrows(() => parseOperand(text), LaminaError);
});

Deno.test("cp plans where the copy goes as docker cp does", () => {
  const cases: ReadonlyArray<readonly [[PathKind, string], [PathKind, string], string, string]> = [
    [["file", "/a/f"], ["directory", "/d"], "/d", "f"],
    [["file", "/a/f"], ["directory", "/d/"], "/d/", "f"],
    [["file", "/a/f"], ["file", "/d/g"], "/d", "g"],
    [["file", "/a/f"], ["absent", "/d/g"], "/d", "g"],
    [["file", "f"], ["absent", "g"], ".", "g"],
    [["file", "f"], ["directory", "."], ".", "f"],
    [["other", "/a/link"], ["absent", "/d/g"], "/d", "g"],
    [["directory", "/a/d"], ["directory", "/e"], "/e", "d"],
    [["directory", "/a/d/"], ["directory", "/e"], "/e", "d"],
    [["directory", "/a/d/."], ["directory", "/e"], "/e", "."],
    [["directory", "/a/d"], ["absent", "/e"], "/", "e"],
    [["directory", "/a/d/."], ["absent", "/e/"], "/", "e"],
    [["directory", "/"], ["directory", "/e"], "/e", "."],
    [["directory", "/"], ["absent", "out"], ".", "out"],
  ];
  for (const [[kind, path], [toKind, to], directory, as] of cases) {
    assertEquals(planCopy({ kind, path }, { kind: toKind, path: to }), { directory, as }, `${path} -> ${to}`);
  }
});

Deno.test("cp refuses what has no meaning", () => {
  const refused = (source: [PathKind, string], destination: [PathKind, string]): string =>
    assertThrows(
      () => planCopy({ kind: source[0], path: source[1] }, { kind: destination[0], path: destination[1] }),
      LaminaError,
    ).code;
  assertEquals(refused(["absent", "/a"], ["directory", "/d"]), "NOT_FOUND");
  assertEquals(refused(["directory", "/a"], ["file", "/f"]), "CONFLICT");
  assertEquals(refused(["directory", "/a"], ["other", "/f"]), "CONFLICT");
  assertEquals(refused(["file", "/a"], ["absent", "/d/"]), "NOT_FOUND");
  assertEquals(refused(["file", "/a"], ["file", "/d/"]), "CONFLICT");
});

Deno.test("a path splits into directory and name", () => {
  const cases = [
    ["/a/b", "/a", "b"],
    ["/a", "/", "a"],
    ["/", "/", ""],
    ["a", ".", "a"],
    ["a/", ".", "a"],
    [
      "/a/b/.",
      "/a",
      "b",
    ],
    [".", ".", ""],
    ["./a", ".", "a"],
  ] as const;
  for (const [path, dir, base] of cases) assertEquals(splitPath(path), { dir, base }, path);
});
