import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

rootTest("check finds what no workload has; repair unmounts it, and touches no file", async () => {
  await using test = await TestRuntime.open();
  const stray = join(test.root, "pods/gone/volumes/test~tmpfs/memory");
  const kept = join(test.root, "pods/other/volumes/test~file/text");
  const device = join(test.root, "plugins/test~device/0123/mount");
  for (const path of [stray, kept, device]) Deno.mkdirSync(path, { recursive: true });
  Deno.writeTextFileSync(join(kept, "precious"), "mine");
  await runCommand("mount", ["-t", "tmpfs", "stray", stray]);
  const objects = ["ROOT/pods/gone", "ROOT/pods/other", "ROOT/plugins/test~device/0123"];
  assertEquals((await test.check()).sort(), objects.map((path) => `orphan-directory ${path}`).sort());
  assertEquals((await test.check({ repair: true })).filter((line) => line.endsWith("repaired")).length, 2);
  assertEquals(await test.check(), ["orphan-directory ROOT/pods/other"]);
  assertEquals(Deno.readTextFileSync(join(kept, "precious")), "mine");
  Deno.removeSync(join(kept, "precious"));
  await test.check({ repair: true });
  assertEquals(await test.check(), []);
});
