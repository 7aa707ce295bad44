/** The binary's entry: the command line. */
import { run } from "./cli/run.ts";

/** Runs `lamina ARGS` in this process; see {@linkcode run}. */
export function main(args: readonly string[]): Promise<number> {
  return run(args);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
