/** Killed at each of its fault points, the manager finishes what it had begun, and takes down what nobody wants. */
import { assertEquals } from "@std/assert";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { RealManager, volume } from "./support/real_manager.ts";

const SIGKILL = 137;
const victim = new URL("./support/victim.ts", import.meta.url).pathname;
const wanted = [volume("memory", { tmpfs: "m" }), volume("v", { device: "d" }), volume("text", { file: "x" })];

async function killAt(point: string, directory: string): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", victim, directory],
    env: { LAMINA_FAULT: point },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).output();
  return code;
}

for (const point of FAULT_POINTS.filter((name) => name.startsWith("manager."))) {
  for (const again of [true, false]) {
    rootTest(`killed at ${point}, volumes that are ${again ? "still" : "not"} wanted`, async () => {
      await using scratch = await scratchDirectory();
      assertEquals(await killAt(point, scratch.path), SIGKILL);
      const test = RealManager.at({ path: scratch.path, [Symbol.asyncDispose]: () => Promise.resolve() });
      await using _closing = test;
      if (again) await test.up("one", wanted);
      test.manager.desiredIsComplete();
      if (again) await test.down("one");
      else await test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} });
      const left = () => mountsBelow(readMountTable(), test.layout.root).map(({ target }) => target);
      for (let i = 0; left().length > 0 && i < 500; i++) await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals(left(), []);
      assertEquals([...Deno.readDirSync(test.layout.pods)].map(({ name }) => name), []);
    });
  }
}
