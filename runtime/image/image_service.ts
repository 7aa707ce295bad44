/** Images: the service, put together from the parts of this room. */
import { Slots } from "../../drivers/storage/layer/slots.ts";
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { toLaminaError } from "../core/errors.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Image, ImportResult, RemovalResult } from "../core/specs/image.ts";
import { onEnd } from "../core/streams.ts";
import type { ImageService, ImportOptions, ImportSource } from "../services.ts";
import { endIntent, type Intent } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { openSource } from "./archive/open_source.ts";
import { commitImage, type CommitRequest } from "./commit_image.ts";
import { applyConfigChanges } from "./config_changes.ts";
import { lookUpImage } from "./image_lookup.ts";
import { DEFAULT_IMPORT_LIMITS, type ImageRoom, type ImportLimits } from "./image_room.ts";
import type { ImageRow } from "./image_rows.ts";
import { importImages } from "./import_images.ts";
import { importRootfs } from "./import_rootfs.ts";
import { freeAllLayers, removeUnfinishedRecipes } from "./layer_garbage.ts";
import { LayerPins } from "./layer_pins.ts";
import { describeImage, listImages } from "./list_images.ts";
import { parsePlatform } from "./platform.ts";
import { readArchive } from "./read/read_archive.ts";
import { chosenReference } from "./reference_names.ts";
import { pruneImages, removeImage } from "./remove_images.ts";
import { tagImage } from "./tag_image.ts";
import { exportImages } from "./write/export_images.ts";

/** What the service works with. */
export interface ImageServiceParts {
  readonly store: Store;
  readonly driver: StorageDriver;
  readonly engine: Pick<LayerEngine, "compress">;
  readonly layout: RootLayout;
  readonly events: EventSink;
  /** Shared with nobody, or keys `image:…` and `layer:…` are this room's. */
  readonly locks: KeyedLock;
  readonly limits?: Partial<ImportLimits>;
}

/** The service of the API, and what the runtime and the containers need besides. */
export interface FullImageService extends ImageService {
  /** The image that a caller means. Throws as `lookUpImage`. */
  find(name: string): ImageRow;
  /** Makes an image of a container's changes. */
  commit(request: CommitRequest, operation: Operation): Promise<Image>;
  /**
   * Finishes or undoes what a crash interrupted: intents `image.import`, `image.remove`, `container.commit`. After the
   * driver's own recovery and before any other call; staging was emptied already.
   */
  recover(intent: Intent, operation: Operation): Promise<void>;
  /** Removes layers without an image, snapshots that never became a layer, recipes without a layer. */
  collectGarbage(operation: Operation): Promise<RemovalResult>;
}

/** Layers that are unpacked at a time; the layer engine's workers limit the work itself. */
const UNPACK_SLOTS = Math.max(4, 2 * navigator.hardwareConcurrency);

/** Puts the service together. The directories of `layout` exist. */
export function createImageService(parts: ImageServiceParts): FullImageService {
  const room: ImageRoom = {
    store: parts.store,
    driver: parts.driver,
    engine: parts.engine,
    layout: parts.layout,
    events: parts.events,
    locks: parts.locks,
    limits: { ...DEFAULT_IMPORT_LIMITS, ...parts.limits },
    pins: new LayerPins(),
    unpackSlots: new Slots(UNPACK_SLOTS),
  };
  return {
    import: (source, options, operation) =>
      named(
        `Cannot import ${"path" in source ? source.path : "the stream"}`,
        () => importSource(room, source, options, operation),
      ),
    list: () => listImages(room.store),
    inspect: (image) => describeImage(room.store, lookUpImage(room.store, image).row),
    find: (image) => lookUpImage(room.store, image).row,
    tag: (image, reference) => named(`Cannot tag ${image}`, () => tagImage(room, image, reference)),
    export: (images, options, operation) =>
      named("Cannot export", () => Promise.resolve(exportImages(room, images, options, operation))),
    remove: (image, options, operation) =>
      named(`Cannot remove image ${image}`, () => removeImage(room, image, options, operation)),
    prune: (options, operation) => named("Cannot prune images", () => pruneImages(room, options, operation)),
    commit: (request, operation) => named("Cannot commit", () => commitImage(room, request, operation)),
    recover: (intent, operation) => recover(room, intent, operation),
    collectGarbage: async (operation) => {
      const { deleted, reclaimed_bytes } = await freeAllLayers(room, operation);
      return { untagged: [], deleted: [...deleted], reclaimed_bytes };
    },
  };
}

async function importSource(
  room: ImageRoom,
  given: ImportSource,
  options: ImportOptions,
  operation: Operation,
): Promise<ImportResult> {
  // A sender that falls silent must not hold up a shutdown or a deadline.
  const source = "stream" in given ? { stream: onEnd(given.stream, () => {}, operation.signal) } : given;
  try {
    operation.signal.throwIfAborted();
    // Refused before anything is read.
    if (options.reference !== undefined) chosenReference(options.reference);
    applyConfigChanges({}, options.rootfs?.changes ?? []);
    const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
    await using opened = await openSource(room, source, { asRootfs: options.rootfs !== undefined }, operation);
    const { what } = opened;
    if (what.kind === "rootfs") return await importRootfs(room, what.archive, options, operation);
    const images = await readArchive(what.files, { platform, baseName: what.baseName }, operation.signal);
    return await importImages(room, images, options, operation);
  } catch (error) {
    if ("stream" in source && !source.stream.locked) await source.stream.cancel(error).catch(() => {});
    throw error;
  }
}

/** What belongs to no image is removed, whatever step the crash came at; what was acknowledged has its rows. */
async function recover(room: ImageRoom, intent: Intent, operation: Operation): Promise<void> {
  await freeAllLayers(room, operation);
  await removeUnfinishedRecipes(room);
  await room.store.write((tx) => endIntent(tx, intent), { frees: true });
}

/** Aborts and unforeseen failures leave as Lamina's errors, too. */
async function named<T>(attempted: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw toLaminaError(error, attempted);
  }
}
