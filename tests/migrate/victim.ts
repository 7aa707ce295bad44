/**
 * The process that is killed: `victim.ts ROOT FROM TO`. Migrates a root that a test has filled; a fault point in the
 * environment ends it by SIGKILL on the way. Says `begun`, and `done` when it was not killed.
 */
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { createRuntime } from "../../runtime/runtime.ts";

const [root, to] = Deno.args as [string, "overlay" | "vfs"];
// Written at once: what a buffer held would die with the process.
const tell = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await using runtime = await createRuntime({ root });
tell("begun");
await runtime.system.migrate({ to }, backgroundOperation());
tell("done");
