/**
 * Does what `crash_test.ts` wants to be interrupted: opens the driver in the directory given and prepares, commits,
 * applies and removes. `LAMINA_FAULT` kills it somewhere on the way. Says what was acknowledged, a line each.
 */
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { Store } from "../../runtime/store/store.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { keyOf } from "../contract/support/driver_fixture.ts";

const [root] = Deno.args;
const operation = { signal: AbortSignal.timeout(600_000), progress: () => {} };
const store = new Store(`${root}/lamina.db`);
await using engine = createLayerEngine();
const context = { directory: `${root}/driver`, store, engine, mounter: new LibcMounter(), options: {} };
await using driver = await overlayFactory.open(context, operation);
await driver.recover(operation);

const said = new TextEncoder();
const acknowledge = (text: string) => Deno.stdout.writeSync(said.encode(`${text}\n`));
await driver.prepare(keyOf("work"), keyOf("base"), {}, operation);
acknowledge("prepared");
await driver.commit(keyOf("layer"), keyOf("work"), {}, operation);
acknowledge("committed");
const file = `${root}/layer.tar`;
const length_bytes = (await Deno.stat(file)).size;
await driver.apply({
  name: keyOf("applied"),
  parent: keyOf("layer"),
  parentReady: Promise.resolve(),
  recipePath: `${root}/recipes/applied`,
  blob: { source: { path: file, offset_bytes: 0, length_bytes }, compression: "auto" },
}, operation);
acknowledge("applied");
await driver.remove(keyOf("applied"), operation);
acknowledge("removed");
