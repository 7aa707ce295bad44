/** Brings the images of an archive into the store: all of them or nothing. */
import { LaminaError, messageOf, toLaminaError } from "../core/errors.ts";
import { backgroundOperation, type Operation } from "../core/operation.ts";
import type { ImportResult } from "../core/specs/image.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { ImportOptions } from "../services.ts";
import type { ImageRoom } from "./image_room.ts";
import { findImage, findLayer, insertImage, setReference } from "./image_rows.ts";
import { freeLayers } from "./layer_garbage.ts";
import type { SourceImage, SourceImages } from "./read/source_image.ts";
import { chosenReference } from "./reference_names.ts";
import { type PlannedLayer, type UnpackedLayers, unpackLayers } from "./unpack_layers.ts";

/** Warnings that a result carries at most. */
const MAX_WARNINGS = 200;

/** What the events say that happened. */
export type ImportAction = "import" | "commit";

/**
 * Imports what was read from an archive.
 *
 * @throws what reading, unpacking or the store throw; then nothing is left of the import.
 */
export async function importImages(
  room: ImageRoom,
  source: SourceImages,
  options: Pick<ImportOptions, "reference">,
  operation: Operation,
  action: ImportAction = "import",
): Promise<ImportResult> {
  const images = named(mergeSame(source.images), options.reference);
  using _locks = await room.locks.acquireAll(images.map(({ id }) => `image:${id}`), operation.signal);
  const missing = images.filter(({ id }) => findImage(room.store, id) === undefined);
  const plan = planLayers(missing);
  using pins = room.pins.pin(plan.map(({ chainId }) => chainId));
  const unpacked: UnpackedLayers = { made: [], warnings: [] };
  const intent = await prepareImport(room, missing, plan);
  try {
    if (intent !== undefined) {
      faultPoint("import.begun");
      await unpackLayers(room, plan, unpacked, operation);
    }
    operation.signal.throwIfAborted();
    faultPoint("import.before_image_row");
    const tagged = await commitImages(room, images, missing, intent);
    faultPoint("import.image_row");
    tellOf(room, action, images, missing, tagged);
    return {
      images: images.map((image) => resultOf(image, missing.includes(image), unpacked, tagged)),
      warnings: [...source.warnings, ...unpacked.warnings].slice(0, MAX_WARNINGS),
    };
  } catch (error) {
    pins[Symbol.dispose]();
    if (intent !== undefined) await undo(room, plan.map(({ chainId }) => chainId), intent, error);
    throw error;
  }
}

/**
 * Takes the layers of a failed import away again, those excepted that others use: what it made, and what others left
 * to it.
 *
 * @param layers Parents before children.
 * @throws the failure with a note, when that fails as well; the intent stays for the next start then.
 */
export async function undo(
  room: ImageRoom,
  layers: readonly string[],
  intent: Intent,
  failure: unknown,
): Promise<void> {
  try {
    await freeLayers(room, [...layers].reverse(), backgroundOperation());
    // What the failed layer itself has left.
    await room.driver.cleanup(backgroundOperation());
    await room.store.write((tx) => endIntent(tx, intent), { frees: true });
  } catch (error) {
    const first = toLaminaError(failure, "Cannot import");
    throw new LaminaError(
      first.code,
      `${first.message}. What it had made could not be removed (${messageOf(error)}): the next start of Lamina does so`,
      { cause: failure },
    );
  }
}

/** One config under several names is one image. */
function mergeSame(images: readonly SourceImage[]): SourceImage[] {
  const merged = new Map<string, SourceImage>();
  for (const image of images) {
    const other = merged.get(image.id);
    const references = [...new Set([...other?.references ?? [], ...image.references])];
    merged.set(image.id, { ...(other ?? image), references });
  }
  return [...merged.values()];
}

function named(images: readonly SourceImage[], reference: string | undefined): readonly SourceImage[] {
  if (reference === undefined) return images;
  const name = chosenReference(reference);
  if (images.length === 1) return [{ ...images[0]!, references: [name] }];
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot call ${images.length} images ${name}: the archive holds ${
      images.slice(0, 5).map((image) => image.references[0] ?? image.id).join(", ")
    }. Import it without --ref, or choose one with --platform`,
  );
}

/** The layers of several images, parents before children, each once. */
function planLayers(images: readonly SourceImage[]): PlannedLayer[] {
  const plan = new Map<string, PlannedLayer>();
  for (const { layers } of images) {
    for (const [i, layer] of layers.entries()) {
      if (!plan.has(layer.chainId)) plan.set(layer.chainId, { ...layer, parent: layers[i - 1]?.chainId });
    }
  }
  return [...plan.values()];
}

/** Looks for every blob that will be needed before anything is changed, then notes what is going to be made. */
async function prepareImport(
  room: ImageRoom,
  missing: readonly SourceImage[],
  plan: readonly PlannedLayer[],
): Promise<Intent | undefined> {
  const wanted = plan.filter(({ chainId }) => findLayer(room.store, chainId) === undefined);
  for (const { blob } of wanted) await blob.locate();
  if (missing.length === 0) return undefined;
  const data = { images: missing.map(({ id }) => id), layers: wanted.map(({ chainId }) => chainId) };
  return await room.store.write((tx) => beginIntent(tx, "image.import", missing[0]!.id, data));
}

/** The write that makes the import true. Returns the references that it changed. */
function commitImages(
  room: ImageRoom,
  images: readonly SourceImage[],
  missing: readonly SourceImage[],
  intent: Intent | undefined,
): Promise<ReadonlySet<string>> {
  return room.store.write((tx) => {
    for (const image of missing) {
      insertImage(
        tx,
        { id: image.id, config: image.configBytes, platform: image.platform },
        image.layers.map(({ chainId }) => chainId),
      );
    }
    const tagged = images.flatMap(({ id, references }) => references.filter((name) => setReference(tx, name, id)));
    if (intent !== undefined) endIntent(tx, intent);
    return new Set(tagged);
  });
}

function tellOf(
  room: ImageRoom,
  action: ImportAction,
  images: readonly SourceImage[],
  missing: readonly SourceImage[],
  tagged: ReadonlySet<string>,
): void {
  for (const image of images) {
    const { id, references } = image;
    if (missing.includes(image)) room.events.emit({ kind: "image", action, id, name: references[0] });
    for (const name of references) if (tagged.has(name)) room.events.emit({ kind: "image", action: "tag", id, name });
  }
}

function resultOf(
  image: SourceImage,
  isNew: boolean,
  unpacked: UnpackedLayers,
  tagged: ReadonlySet<string>,
): ImportResult["images"][number] {
  const made = isNew ? image.layers.filter(({ chainId }) => unpacked.made.includes(chainId)).length : 0;
  return {
    id: image.id,
    references: [...image.references],
    layers_total: image.layers.length,
    layers_unpacked: made,
    layers_shared: image.layers.length - made,
    already_present: !isNew && !image.references.some((name) => tagged.has(name)),
  };
}
