/**
 * The process that is killed: `victim.ts ROOT LAYOUT HOST`. Opens the root, plays the scenario, and tells each step
 * before (`try N`) and after (`ack N`) it. A fault point in the environment ends it by SIGKILL on the way.
 */
import { createRuntime } from "../../runtime/runtime.ts";
import { steps } from "./scenario.ts";

const [root, layout, host] = Deno.args as [string, string, string];
// Written at once: what a buffer held would die with the process.
const tell = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await using runtime = await createRuntime({ root });
for (const [index, step] of steps({ layout, host }).entries()) {
  tell(`try ${index}`);
  await step.run(runtime);
  tell(`ack ${index}`);
}
tell("done");
