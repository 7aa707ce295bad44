/** The compiled binaries: made here, and used as a person would. */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { project } from "../architecture/sources.ts";
import { compile } from "../support/compile.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const ours = Deno.build.arch;

rootTest("the binary does the whole demo", async () => {
  const { path } = await compile(ours);
  await using scratch = await scratchDirectory();
  const { code, stdout, stderr } = await runCommand(
    Deno.execPath(),
    ["run", "-A", "--no-check", "--quiet", "tests/e2e/demo.ts", "--binary", path],
    { cwd: project, env: { TMPDIR: scratch.path, NO_COLOR: "1" } },
  );
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /all \d+ checks hold/);
});

rootTest("the binary is up to date when nothing changed", async () => {
  await compile(ours);
  assertEquals((await compile(ours)).cached, true);
});

rootTest("the binary works in a directory of its own, without the sources", async () => {
  const { path } = await compile(ours);
  await using scratch = await scratchDirectory();
  const alone = join(scratch.path, "lamina");
  await Deno.copyFile(path, alone);
  const env = { LAMINA_ROOT: join(scratch.path, "root"), LAMINA_SOCKET: join(scratch.path, "run/lamina.sock") };
  const version = await commandOutput(alone, ["version"], { cwd: scratch.path, env });
  assertMatch(version, /\d+\.\d+\.\d+/);
});

rootTest("the arm64 binary says its version and describes the machine under an emulator", async () => {
  const { path } = await compile("aarch64");
  await using scratch = await scratchDirectory();
  const env = { LAMINA_ROOT: join(scratch.path, "root"), LAMINA_SOCKET: join(scratch.path, "run/lamina.sock") };
  const [program, ...prefix] = ours === "aarch64"
    ? [path]
    : ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", path];
  const options = { env, timeout_ms: 300_000 };
  assertMatch(await commandOutput(program!, [...prefix, "version"], options), /\d+\.\d+\.\d+/);
  // Makes the root; what only looks does not.
  await commandOutput(program!, [...prefix, "gc", "--embedded"], options);
  const info = JSON.parse(await commandOutput(program!, [...prefix, "info", "--embedded", "--json"], options));
  assertMatch(info.architecture, /arm64|aarch64/);
});
