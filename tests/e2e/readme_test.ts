import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { COMMANDS } from "../../runtime/cli/command_table.ts";
import { project } from "../architecture/sources.ts";

const papers = await Promise.all(
  ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(async (name) => ({
    name,
    text: await Deno.readTextFile(join(project, name)),
  })),
);

Deno.test("the README's code has the right types", async () => {
  const args = ["check", "--quiet", "--doc-only", "README.md"];
  const { code, stderr } = await runCommand(Deno.execPath(), args, { cwd: project });
  assertEquals(code, 0, stderr);
});

Deno.test("every task that the papers name exists", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(project, "deno.json")));
  for (const { name, text } of papers) {
    for (const [whole, task] of text.matchAll(/\b(?:deno@[\d.]+|deno|`) ?task ([a-z:0-9]+)/g)) {
      assert(task! in tasks, `${name}: ${whole}`);
    }
  }
});

Deno.test("every command in the README's tour exists", () => {
  const known = new Set(COMMANDS.map(({ words }) => words.join(" ")));
  const tour = papers[0]!.text.matchAll(/^\$ lamina ([a-z]+)(?: ([a-z]+))?/gm);
  for (const [whole, noun, verb] of tour) {
    assert(known.has(noun!) || known.has(`${noun} ${verb}`), whole);
  }
});

Deno.test("every path that ARCHITECTURE.md names exists", async () => {
  const text = papers.find(({ name }) => name === "ARCHITECTURE.md")!.text;
  const missing: string[] = [];
  for (const [, path] of text.matchAll(/`((?:runtime|drivers|overlay|tests|bench)\/[\w./]*)`/g)) {
    await Deno.stat(join(project, path!)).catch(() => missing.push(path!));
  }
  assertEquals(missing, []);
});
