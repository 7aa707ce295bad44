/** The process that is killed: `crash_victim.ts DIRECTORY`. Tells each step when it is done. */
import { ClaimsFixture } from "./claims_fixture.ts";
import { STEPS } from "./crash_scenario.ts";

await using f = new ClaimsFixture(Deno.args[0]!);
for (const [index, step] of STEPS.entries()) {
  await step(f);
  Deno.stdout.writeSync(new TextEncoder().encode(`${index}\n`));
}
