/**
 * The test runner inside of the guest: `run_suite_inside.ts TIMEOUT_MS FILE…`. Runs each module as the host's runner
 * does, on a disk of the guest's own, and prints what became of it as a line of JSON.
 */
import { runTestModule } from "../support/test_process.ts";
import { say } from "../support/say.ts";
import { RESULT_MARK, SCRATCH } from "./run_suite.ts";

const [timeout, ...files] = Deno.args;
const signal = new AbortController().signal;
for (const [index, file] of files.entries()) {
  const result = await runTestModule(file, {
    directory: `${SCRATCH}/${index}`,
    timeout_ms: Number(timeout),
    signal,
    // The guest reaches no registry: what is not there is said at once.
    args: ["--cached-only"],
  });
  say(`${RESULT_MARK}${JSON.stringify(result)}`);
}
