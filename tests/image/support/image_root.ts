/** A root with an image service on it. */
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";
import { KeyedLock } from "../../../runtime/core/keyed_lock.ts";
import type { NewEvent } from "../../../runtime/core/event_bus.ts";
import { RootLayout } from "../../../runtime/core/root_layout.ts";
import type { ImportLimits } from "../../../runtime/image/image_room.ts";
import { createImageService, type FullImageService } from "../../../runtime/image/image_service.ts";
import { openIntents } from "../../../runtime/store/journal.ts";
import { Store } from "../../../runtime/store/store.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { type MemoryDriver, memoryDriver } from "./memory_driver.ts";

/** See the head of the file. Disposing it removes everything. */
export interface ImageRoot extends AsyncDisposable {
  readonly images: FullImageService;
  readonly driver: MemoryDriver;
  readonly store: Store;
  readonly layout: RootLayout;
  readonly events: NewEvent[];
  /** For archives; outside of the root. */
  readonly work: string;
  /** What is in the root besides images: rows, snapshots, files. Empty lists mean: nothing. */
  leftovers(): Promise<
    { layers: string[]; snapshots: string[]; recipes: string[]; staging: string[]; intents: number }
  >;
}

/** Makes it. */
export async function imageRoot(limits: Partial<ImportLimits> = {}): Promise<ImageRoot> {
  const scratch = await scratchDirectory();
  const layout = new RootLayout(`${scratch.path}/root`);
  const work = `${scratch.path}/work`;
  for (const path of [work, layout.root, layout.recipes, layout.staging]) await Deno.mkdir(path);
  const store = new Store(layout.database);
  const driver = memoryDriver(store);
  const engine = createLayerEngine();
  const events: NewEvent[] = [];
  const images = createImageService({
    store,
    driver,
    engine,
    layout,
    events: { emit: (event) => void events.push(event) },
    locks: new KeyedLock(),
    limits,
  });
  return {
    images,
    driver,
    store,
    layout,
    events,
    work,
    leftovers: async () => ({
      layers: store.all<{ chain_id: string }>("SELECT chain_id FROM layers").map((row) => row.chain_id),
      snapshots: [...driver.snapshots.keys()].sort(),
      recipes: await namesIn(layout.recipes),
      staging: await namesIn(layout.staging),
      intents: openIntents(store).length,
    }),
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      store[Symbol.dispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** What {@linkcode ImageRoot.leftovers} says of an empty root. */
export const NOTHING = { layers: [], snapshots: [], recipes: [], staging: [], intents: 0 };

async function namesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
}
