import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { parseManifest } from "../../runtime/cli/manifest.ts";
import { parseJsonPath, valueAt } from "../../runtime/cli/json_path.ts";

const values = (text: string) => parseManifest(text, "m.yaml").map(({ value }) => value);

Deno.test("YAML is read as kubectl reads it", () => {
  assertEquals(
    values(
      "mode: 0644\non: yes\ntime: 12:30:45\nday: 2026-01-31\nbase: &b {a: 1}\nmerged: {<<: *b, b: 2}\n8080: port\n",
    ),
    [{
      mode: 0o644,
      on: true,
      time: "12:30:45",
      day: "2026-01-31",
      base: { a: 1 },
      merged: { a: 1, b: 2 },
      "8080": "port",
    }],
  );
});

Deno.test("a file has any number of documents, JSON or YAML, and lists of objects", () => {
  const found = parseManifest("# nothing\n---\na: 1\n---\n---\nkind: List\nitems: [{b: 1}, {c: 1}]\n", "m.yaml");
  assertEquals(found.map(({ value, place }) => [value, place]), [
    [{ a: 1 }, "m.yaml, document 1 (line 3)"],
    [{ b: 1 }, "m.yaml, document 3 (line 6), item 1"],
    [{ c: 1 }, "m.yaml, document 3 (line 6), item 2"],
  ]);
  assertEquals(values('{"a":\t1,\n\t"b": [2]}'), [{ a: 1, b: [2] }]);
  assertEquals(values(""), []);
});

const bomb = ["a: &a [1,1,1,1,1,1,1,1,1]"].concat(
  ["b", "c", "d", "e", "f", "g"].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${"abcdef"[i]}`).join(",")}]`),
).join("\n");

const wrong: ReadonlyArray<[string, string, string]> = [
  ["tabs", "a: 1\n---\nb:\n\tc: 2\n", "document 2, line 4, column 1: Tabs are not allowed"],
  ["a key twice", "a: 1\na: 2\n", "document 1, line 2, column 1: Map keys must be unique"],
  ["a list", "- a\n", "document 1 (line 1): an object is a mapping, this is a list"],
  ["a text", "a: 1\n---\njust words\n", "document 2 (line 3): an object is a mapping, this is a text"],
  ["a list of numbers", "kind: List\nitems: [1]\n", "item 1: an object is a mapping, this is a number"],
  ["aliases that multiply", bomb, "alias count"],
  ["an alias of nothing", "a: *b\n", "Unresolved alias"],
  ["nesting without end", `a: ${"[".repeat(20_000)}`, "m.yaml"],
  ["an open bracket", "a: [1\n", "document 1, line 2"],
  ["a file of 10 MB", `a: ${"x".repeat(10_000_000)}`, "m.yaml has more than 8 MiB"],
];

for (const [name, text, message] of wrong) {
  Deno.test(`a manifest is refused with its place: ${name}`, () => {
    const error = assertThrows(() => parseManifest(text, "m.yaml"), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, message);
  });
}

Deno.test("paths into objects are those of kubectl's jsonpath", () => {
  const object = {
    status: { phase: "Bound", conditions: [{ type: "Ready" }] },
    metadata: { labels: { "a.b/c": "d" } },
  };
  const at = (path: string) => valueAt(object, parseJsonPath(path));
  assertEquals(at("{.status.phase}"), "Bound");
  assertEquals(at("status.conditions[0].type"), "Ready");
  assertEquals(at("{.metadata.labels.a\\.b/c}"), "d");
  assertEquals(at("{.metadata.labels['a.b/c']}"), "d");
  assertEquals(at("{.status.constructor}"), undefined);
  for (const path of ["", "{.items[*].a}", "{.a[?(@.b)]}", "{..a}"]) {
    assertThrows(() => parseJsonPath(path), LaminaError);
  }
});
