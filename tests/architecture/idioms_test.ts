import { assertEquals } from "@std/assert";
import { IDIOM_RULES } from "./idioms.ts";
import { project, readSources, shippedPlaces, withoutComments } from "./sources.ts";

const sources = readSources([...shippedPlaces, "tests", "bench"]);
const papers = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "deno.json", ".ci/run"].map((path) => ({
  path,
  text: Deno.readTextFileSync(`${project}/${path}`),
}));
// The rules name what they forbid.
const itself = "tests/architecture/idioms.ts";

for (const { rule, pattern, where, comments } of IDIOM_RULES) {
  Deno.test(rule, () => {
    const broken: string[] = [];
    for (const { path, text } of [...sources, ...papers]) {
      if (path === itself || !where(path)) continue;
      const lines = (comments ? text : withoutComments(text)).split("\n");
      for (const [index, line] of lines.entries()) {
        if (pattern.test(line)) broken.push(`${path}${comments ? `:${index + 1}` : ""}: ${line.trim()}`);
      }
    }
    assertEquals(broken, []);
  });
}

Deno.test("no file is longer than 400 lines", () => {
  const long = sources.map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }));
  assertEquals(long.filter(({ lines }) => lines > 400), []);
});

Deno.test("lint rules are set aside only with a reason or where the rule is meant for others", () => {
  const broken: string[] = [];
  for (const { path, text } of sources) {
    for (const [line] of text.matchAll(/.*deno-lint-ignore-file.*/g)) {
      if (path !== itself && !path.endsWith("/idioms_test.ts") && !line.includes(" -- ")) {
        broken.push(`${path}: ${line.trim()}`);
      }
    }
  }
  assertEquals(broken, []);
});

Deno.test("comments are found, strings that look like comments are not", () => {
  assertEquals(
    withoutComments('a(); // b\nc("// d"); /* e\n f */ g(`http://x`);'),
    'a(); \nc("// d");  g(`http://x`);',
  );
});
