import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { project } from "../architecture/sources.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { buildDemoImage } from "./demo_image.ts";

async function demo(...args: string[]) {
  await using scratch = await scratchDirectory();
  const { code, stdout, stderr } = await runCommand(
    Deno.execPath(),
    ["run", "-A", "--no-check", "--quiet", join(project, "tests/e2e/demo.ts"), ...args],
    { cwd: project, env: { TMPDIR: scratch.path, NO_COLOR: "1" } },
  );
  const left = await Array.fromAsync(Deno.readDir(scratch.path), ({ name }) => name);
  return { code, stdout, stderr, left };
}

rootTest("the demo does the main job from source and leaves nothing", async () => {
  const { code, stdout, stderr, left } = await demo();
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /all \d+ checks hold/);
  assert(!stdout.includes("\x1b"), "colours belong on a terminal only");
  assertEquals(left, []);
});

rootTest("the demo takes an image as an argument", async () => {
  await using scratch = await scratchDirectory();
  await buildDemoImage(join(scratch.path, "given"), "given:1");
  const { code, stdout, stderr } = await demo(join(scratch.path, "given"));
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /image import \S*given/);
});

rootTest("the demo ends with status 1 and takes everything away when its image is none", async () => {
  const { code, stdout, left } = await demo("/etc/passwd");
  assertEquals(code, 1);
  assertMatch(stdout, /image import/);
  assertEquals(left, []);
});
