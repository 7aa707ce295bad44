/** The rules of the house that a program can hold. When one fails, change the code; the rules are in DESIGN. */
import { assertEquals } from "@std/assert";
import { brokenRule, ROOMS } from "./rooms.ts";
import { importGraph, project, readSources, shippedPlaces, workersOf } from "./sources.ts";

const shipped = readSources(shippedPlaces);
// The reference of the command line is made from its table by `deno task docs`.
const entries = ["mod.ts", "runtime/main.ts", "tests/support/docs.ts", ...new Set(shipped.flatMap(workersOf))];
const graph = await importGraph(entries);

Deno.test("imports run downwards only", () => {
  const imports = graph.imports.filter(({ from }) => !from.startsWith("tests/"));
  assertEquals(imports.map(brokenRule).filter((rule) => rule !== undefined), []);
});

Deno.test("the library does not reach for the command line or the server's entry", async () => {
  const { files } = await importGraph(["mod.ts"]);
  assertEquals([...files].filter((path) => /^runtime\/(cli|api|main)/.test(path)), []);
});

Deno.test("every source is reachable from the library, the binary or a worker", () => {
  // Types of npm packages are named in deno.json, not imported.
  const dead = shipped.map(({ path }) => path).filter((path) => !graph.files.has(path) && !path.endsWith(".d.ts"));
  assertEquals(dead, []);
});

Deno.test("every room of the house exists", () => {
  const missing = ROOMS.flat().filter((room) =>
    room !== "deno.json" && !shipped.some(({ path }) => path.startsWith(room))
  );
  assertEquals(missing, []);
});

Deno.test("the top level is fixed", () => {
  const allowed = ["deno.json", "mod.ts", "runtime", "drivers", "overlay", "tests", "bench"];
  const papers = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE", "deno.lock"];
  const made = ["dist", "node_modules"];
  const found = [...Deno.readDirSync(project)].map(({ name }) => name).filter((name) => !name.startsWith("."));
  assertEquals(found.filter((name) => ![...allowed, ...papers, ...made].includes(name)), []);
  assertEquals([...allowed, ...papers].filter((name) => !found.includes(name)), []);
});
