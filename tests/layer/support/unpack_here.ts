/** Unpacks a layer in a process of its own, for tests of one with fewer rights. `archive directory form` -> JSON. */
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";
import type { WhiteoutForm } from "../../../drivers/storage/layer/engine.ts";
import { backgroundOperation } from "../../../runtime/core/operation.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";

const [path, directory, form] = Deno.args as [string, string, WhiteoutForm];
await using engine = createLayerEngine();
let output: unknown;
try {
  const source = { path, offset_bytes: 0, length_bytes: (await Deno.stat(path)).size };
  output = await engine.unpack(
    { blob: { source, compression: "auto" }, directory, whiteouts: form },
    backgroundOperation(),
  );
} catch (error) {
  if (!(error instanceof LaminaError)) throw error;
  output = error;
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(output)));
