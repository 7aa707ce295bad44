/** What the parts of this room share: the collaborators of the image service, and its own state. */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import type { Slots } from "../../drivers/storage/layer/slots.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Store } from "../store/store.ts";
import type { LayerPins } from "./layer_pins.ts";

/** Limits of an import; layers have their own in the layer engine. */
export interface ImportLimits {
  /** Uncompressed bytes of a whole archive that has to be spooled to disk. */
  readonly maxSpool_bytes: number;
  /** Members of an image archive (not of its layers). */
  readonly maxMembers: number;
}

/** Limits that hold unless the configuration says otherwise. */
export const DEFAULT_IMPORT_LIMITS: ImportLimits = { maxSpool_bytes: 64 * 2 ** 30, maxMembers: 100_000 };

/** See the head of the file. */
export interface ImageRoom {
  readonly store: Store;
  readonly driver: StorageDriver;
  readonly engine: Pick<LayerEngine, "compress">;
  readonly layout: RootLayout;
  readonly events: EventSink;
  /** Keys `image:ID` (import, removal) and, acquired after those and one at a time, `layer:CHAINID`. */
  readonly locks: KeyedLock;
  readonly limits: ImportLimits;
  readonly pins: LayerPins;
  /** Layers that may be unpacked at a time. */
  readonly unpackSlots: Slots;
}
