import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { runTestModule } from "../support/test_process.ts";

/** Runs a module with this text as the suite would. */
async function run(text: string, timeout_ms = 60_000) {
  await using scratch = await scratchDirectory();
  const file = `${scratch.path}/one_test.ts`;
  await Deno.writeTextFile(file, text);
  const signal = new AbortController().signal;
  const result = await runTestModule(file, { directory: `${scratch.path}/0`, timeout_ms, signal });
  return { ...result, results: result.cases.map((c) => c.result) };
}

Deno.test("the runner counts what passed, failed and was skipped", async () => {
  const { results, problems, output } = await run(`
    Deno.test("good", () => {});
    Deno.test("bad", () => { throw new Error("because of this") });
    Deno.test({ name: "later", ignore: true, fn() {} });`);
  assertEquals(results, ["passed", "failed", "skipped"]);
  assertEquals(problems, []);
  assertStringIncludes(output, "because of this");
});

Deno.test("the runner reports a module that cannot be loaded, ends badly or holds no test", async () => {
  assertEquals((await run(`import "./missing.ts";`)).problems, ["ended with status 1 although no test failed"]);
  assertEquals((await run(`Deno.test("ends", () => Deno.kill(Deno.pid, "SIGKILL"));`)).problems, [
    "ended with status 137 although no test failed",
  ]);
  assertEquals((await run(`export {};`)).problems, ["holds no test"]);
});

Deno.test("the runner kills a module that does not end, with what it started", async () => {
  const { problems } = await run(
    `Deno.test("waits", async () => {
      new Deno.Command("sleep", { args: ["1000"] }).spawn();
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    });`,
    3000,
  );
  assertEquals(problems[0], "did not end within 3 s and was killed");
});

Deno.test("the runner finds files and processes that a module leaves, and takes them away", async () => {
  const { problems } = await run(`Deno.test("leaves", () => {
    Deno.writeTextFileSync(Deno.env.get("LAMINA_TEST_SCRATCH") + "/file", "");
    Deno.makeTempDirSync({ prefix: "dir" });
    new Deno.Command("setsid", { args: ["sleep", "1000"] }).spawn().unref();
  });`);
  assert(problems.some((line) => line.includes("sleep 1000")), problems.join("\n"));
  assert(problems.some((line) => line.startsWith("left in the scratch: file")), problems.join("\n"));
  assert(problems.some((line) => line.startsWith("left in TMPDIR: dir")), problems.join("\n"));
});

rootTest("the runner finds mounts that a module leaves, and takes them away", async () => {
  const { problems } = await run(`Deno.test("leaves", async () => {
    const target = Deno.env.get("LAMINA_TEST_SCRATCH") + "/mnt";
    Deno.mkdirSync(target);
    await new Deno.Command("mount", { args: ["-t", "tmpfs", "none", target] }).output();
  });`);
  assert(problems.some((line) => line.startsWith("mount left: ")), problems.join("\n"));
});
