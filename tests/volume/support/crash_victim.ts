/** The process that is killed: `crash_victim.ts ROOT`. Tells each step that is done. */
import { createRuntime } from "../../../runtime/runtime.ts";
import { STEPS } from "./crash_scenario.ts";

await using runtime = await createRuntime({ root: Deno.args[0]! });
for (const [index, step] of STEPS.entries()) {
  await step.run(runtime);
  // Written at once: what a buffer held would die with the process.
  Deno.stdout.writeSync(new TextEncoder().encode(`${index}\n`));
}
