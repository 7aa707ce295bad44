import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { type CommandOptions, commandOutput, runCommand } from "../../runtime/host/command.ts";
import { scratchDirectory } from "../support/scratch.ts";

function shell(script: string, options: CommandOptions = {}) {
  return runCommand("sh", ["-c", script], options);
}

async function ended(pid: number): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    try {
      if (await Deno.readTextFile(`/proc/${pid}/cmdline`) === "") return true;
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

Deno.test("a program's status and both outputs come back", async () => {
  assertEquals(await shell("echo out; echo err >&2; exit 3"), { code: 3, stdout: "out\n", stderr: "err\n" });
});

Deno.test("a program that a signal ends has 128 and the signal's number as status", async () => {
  assertEquals((await shell("kill -9 $$")).code, 137);
});

Deno.test("programs speak English and see the given environment and directory", async () => {
  await using scratch = await scratchDirectory();
  const { stdout } = await shell('echo "$LC_ALL $X"; pwd', { env: { X: "y" }, cwd: scratch.path });
  assertEquals(stdout, `C y\n${scratch.path}\n`);
});

Deno.test("arguments arrive as they are, whatever they hold", async () => {
  const args = ["a b", "$(false)", "'\"`\\", "new\nline", "", "*", "-n", "é"];
  assertEquals((await runCommand("printf", ["[%s]", ...args])).stdout, args.map((arg) => `[${arg}]`).join(""));
});

Deno.test("a missing program, a missing directory and a forbidden program are told apart", async () => {
  await using scratch = await scratchDirectory();
  await Deno.writeTextFile(`${scratch.path}/plain`, "no program", { mode: 0o644 });
  const cases: Array<[Promise<unknown>, string, string]> = [
    [runCommand("no-such-program-here", []), "UNSUPPORTED", "not installed"],
    [runCommand("true", [], { cwd: `${scratch.path}/none` }), "NOT_FOUND", `${scratch.path}/none`],
    [runCommand(`${scratch.path}/plain`, []), "PERMISSION_DENIED", "plain"],
  ];
  const results = await Promise.allSettled(cases.map(([attempt]) => attempt));
  for (const [i, [, code, says]] of cases.entries()) {
    const { reason } = results[i] as PromiseRejectedResult;
    assertEquals(reason.code, code);
    assertStringIncludes(reason.message, says);
  }
});

Deno.test("a program that outlives its time is killed with all that it started", async () => {
  await using scratch = await scratchDirectory();
  const script =
    `(trap '' TERM; echo $$ > ${scratch.path}/parent; sleep 1000) & echo $! > ${scratch.path}/pid; sleep 1000`;
  const error = await assertRejects(() => shell(script, { timeout_ms: 2500 }), LaminaError);
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(error.message, "2500 ms");
  assert(await ended(Number(await Deno.readTextFile(`${scratch.path}/pid`))));
});

Deno.test("a signal kills the program and its reason is thrown", async () => {
  const abort = new AbortController();
  const reason = new Error("the caller's reason");
  setTimeout(() => abort.abort(reason), 50);
  assertEquals(await assertRejects(() => shell("sleep 1000", { signal: abort.signal })), reason);
  await assertRejects(() => shell("true", { signal: abort.signal }), Error, "the caller's reason");
});

Deno.test("output beyond the limit is dropped and marked, and does not block the program", async () => {
  const { stdout, code } = await shell("head -c 5000000 /dev/zero | tr '\\0' x", { maxOutput_bytes: 1000 });
  assertEquals(code, 0);
  assertMatch(stdout, /^x{1000}\n… 4999000 more bytes$/);
});

Deno.test("a big input is fed as fast as the program reads", async () => {
  const input = new Uint8Array(20_000_000).fill(120);
  const { stdout } = await shell("sleep 0.1; wc -c", { stdin: input });
  assertEquals(stdout.trim(), "20000000");
});

Deno.test("an input of many pieces is made only as it is read", async () => {
  let made = 0;
  async function* pieces() {
    for (; made < 2000; made++) yield await Promise.resolve(new Uint8Array(65536));
  }
  const { stdout } = await shell("head -c 100000 | wc -c", { stdin: pieces() });
  assertEquals(stdout.trim(), "100000");
  assert(made < 100, `${made} pieces were made for a reader of two`);
});

Deno.test("a program that reads nothing of its input still tells its status", async () => {
  assertEquals((await shell("exit 5", { stdin: "x".repeat(5_000_000) })).code, 5);
});

Deno.test("an input that fails makes the run fail", async () => {
  async function* broken() {
    yield await Promise.resolve(new Uint8Array(10));
    throw new Error("the source broke");
  }
  await assertRejects(() => shell("cat > /dev/null", { stdin: broken() }), Error, "the source broke");
});

Deno.test("what must succeed throws its standard error, shortened", async () => {
  assertEquals(await commandOutput("echo", ["x"]), "x\n");
  const error = await assertRejects(
    () => commandOutput("sh", ["-c", "head -c 100000 /dev/zero | tr '\\0' y >&2; exit 9"]),
    LaminaError,
  );
  assertEquals([error.code, error.details.status], ["INTERNAL", 9]);
  assert(error.message.length < 2200);
});

Deno.test("many programs at once all end", async () => {
  const results = await Promise.all(Array.from({ length: 60 }, (_, i) => shell(`echo ${i}`)));
  assertEquals(results.map((result) => result.stdout), results.map((_, i) => `${i}\n`));
});

// The last one: what its grandchild held open is closed while the next test would run.
Deno.test({
  name: "a grandchild that keeps the outputs open does not keep the caller",
  // Its end of the pipes stays open for as long as it lives.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const { code, stderr, stdout } = await shell("sleep 3 & echo $! >&2; echo out; exit 4");
    assertEquals(code, 4);
    for (const output of [stdout, stderr]) assertStringIncludes(output, "keeps this output open");
    assert(stdout.startsWith("out\n"), "what was written is lost");
    Deno.kill(parseInt(stderr), "SIGKILL");
  },
});
