/**
 * Does what `crash_guest_test.ts` wants to be interrupted: opens the driver in the directory given (which makes the pool
 * where there is none), prepares, commits and removes. `LAMINA_FAULT` kills it somewhere on the way. Says what was
 * acknowledged, a line each.
 */
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { Store } from "../../runtime/store/store.ts";
import { keyOf } from "../contract/support/driver_fixture.ts";
import { directMounter } from "./support/direct_mounter.ts";

const [root, options] = Deno.args;
const operation = { signal: AbortSignal.timeout(600_000), progress: () => {} };
const store = new Store(`${root}/lamina.db`);
await using engine = createLayerEngine();
const context = { directory: `${root}/driver`, store, engine, mounter: directMounter, options: JSON.parse(options!) };
await using driver = await devicemapperFactory.open(context, operation);
await driver.recover(operation);

const said = new TextEncoder();
const acknowledge = (text: string) => Deno.stdout.writeSync(said.encode(`${text}\n`));
acknowledge("opened");
await driver.prepare(keyOf("first"), undefined, {}, operation);
await driver.commit(keyOf("base"), keyOf("first"), {}, operation);
acknowledge("base");
await driver.prepare(keyOf("work"), keyOf("base"), {}, operation);
acknowledge("work");
await driver.commit(keyOf("layer"), keyOf("work"), {}, operation);
acknowledge("layer");
await driver.remove(keyOf("layer"), operation);
await driver.cleanup(operation);
acknowledge("removed");
