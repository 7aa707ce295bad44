/** One layer engine for all tests of a module: its workers take longer to start than most tests to run. */
import type { LayerEngine } from "../../../drivers/storage/layer/engine.ts";
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";

let engine: LayerEngine | undefined;

/** The engine. */
export function sharedEngine(): LayerEngine {
  return engine ??= createLayerEngine();
}
