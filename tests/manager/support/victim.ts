/** Brings volumes up and down until it is killed at the fault point that the environment names. Arguments: a directory. */
import { RealManager, volume } from "./real_manager.ts";

const test = RealManager.at({ path: Deno.args[0]!, [Symbol.asyncDispose]: () => Promise.resolve() });
test.manager.desiredIsComplete();
await test.up("one", [volume("memory", { tmpfs: "m" }), volume("v", { device: "d" }), volume("text", { file: "x" })]);
await test.down("one");
await test[Symbol.asyncDispose]();
