/**
 * The process that is killed: `victim.ts ROOT TARGET BRANCHES`. Mounts a union and takes it away again; a fault point
 * in the environment ends it by SIGKILL on the way.
 */
import { parseBranches } from "../../drivers/storage/aufs/branch_union.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { createRuntime } from "../../runtime/runtime.ts";

const [root, target, branches] = Deno.args as [string, string, string];
await using runtime = await createRuntime({ root });
const operation = backgroundOperation();
await runtime.unions.mount({ branches: parseBranches([branches]), target }, operation);
Deno.stdout.writeSync(new TextEncoder().encode("mounted\n"));
await runtime.unions.unmount(target, { lazy: false }, operation);
