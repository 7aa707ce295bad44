/** A rootfs tar becomes an image of one layer with a config of its own. */
import type { Compression, FileRange, TarStream } from "../../drivers/storage/layer/types.ts";
import { LaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import type { ImportResult } from "../core/specs/image.ts";
import { faultPoint } from "../host/faults.ts";
import type { ImportOptions } from "../services.ts";
import { beginIntent, endIntent } from "../store/journal.ts";
import { announcedSize, uncompressedDigest } from "./archive/uncompressed.ts";
import { chainIdUpon, shortId } from "./chain_id.ts";
import { applyConfigChanges } from "./config_changes.ts";
import type { ImageRoom } from "./image_room.ts";
import { findLayer } from "./image_rows.ts";
import { importImages, undo } from "./import_images.ts";
import { applyNewLayer, type NewLayer } from "./new_layer.ts";
import { machinePlatform, parsePlatform } from "./platform.ts";
import { existingLayer, makeSourceImage } from "./read/source_image.ts";
import { chosenReference } from "./reference_names.ts";

/** The archive of a whole root file system. */
export interface RootfsArchive {
  readonly label: string;
  readonly source: FileRange | TarStream;
  readonly compression: Compression;
}

/**
 * Imports a rootfs tar. The config says the platform and what the caller asked for, and no time, so that the same call
 * always gives the same image.
 *
 * @throws `INVALID_ARGUMENT` without a reference, unless it was said that this is a rootfs; what unpacking throws.
 */
export async function importRootfs(
  room: ImageRoom,
  archive: RootfsArchive,
  options: ImportOptions,
  operation: Operation,
): Promise<ImportResult> {
  if (options.reference === undefined && options.rootfs === undefined) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot import ${archive.label}: it holds no image but files of a root file system. Give it a name with --ref NAME:TAG`,
      { details: { found: "rootfs" } },
    );
  }
  const reference = options.reference === undefined ? undefined : chosenReference(options.reference);
  const runtimeConfig = applyConfigChanges({}, options.rootfs?.changes ?? []);
  const comment = options.rootfs?.message;
  const platform = options.platform === undefined ? machinePlatform() : parsePlatform(options.platform);
  const intent = await room.store.write((tx) =>
    beginIntent(tx, "image.import", reference ?? archive.label, { rootfs: true })
  );
  faultPoint("import.begun");
  let layer: NewLayer | undefined;
  try {
    layer = await findSameLayer(room, archive, reference, operation) ?? await unpackRootfs(room, archive, operation);
    const config = new TextEncoder().encode(JSON.stringify({
      ...platform,
      config: runtimeConfig,
      rootfs: { type: "layers", diff_ids: [layer.diffId] },
      history: [{ created_by: "lamina image import", ...(comment === undefined ? {} : { comment }) }],
    }));
    const names = reference === undefined ? [] : [reference];
    const image = makeSourceImage(config, [existingLayer], names, archive.label);
    const { images, warnings } = await importImages(room, { images: [image], warnings: [] }, { reference }, operation);
    await room.store.write((tx) => endIntent(tx, intent));
    const made = layer.made ? 1 : 0;
    return {
      images: images.map((result) => ({ ...result, layers_unpacked: made, layers_shared: 1 - made })),
      warnings: [...layer.warnings, ...warnings],
    };
  } catch (error) {
    layer?.[Symbol.dispose]();
    await undo(room, layer === undefined ? [] : [layer.chainId], intent, error);
    throw error;
  } finally {
    layer?.[Symbol.dispose]();
  }
}

async function unpackRootfs(room: ImageRoom, archive: RootfsArchive, operation: Operation): Promise<NewLayer> {
  const { source } = archive;
  const total = "length_bytes" in source ? source.length_bytes : undefined;
  return await applyNewLayer(room, undefined, archive, {
    ...operation,
    progress: (event) => operation.progress({ ...event, phase: "unpack", id: "rootfs", total }),
  });
}

/**
 * The layer of the same archive, if it was imported before. Reads the archive only when there is a layer that it could
 * be, because reading it twice costs more than it saves otherwise.
 */
async function findSameLayer(
  room: ImageRoom,
  { source, label }: RootfsArchive,
  reference: string | undefined,
  operation: Operation,
): Promise<NewLayer | undefined> {
  if (!("length_bytes" in source)) return undefined;
  const candidates = await possibleLayers(room, source, reference);
  if (candidates.length === 0) return undefined;
  const diffId = await uncompressedDigest(source, label, operation.signal);
  const chainId = chainIdUpon(undefined, diffId);
  if (!candidates.includes(chainId)) return undefined;
  const pin = room.pins.pin([chainId]);
  using _lock = await room.locks.acquire(`layer:${chainId}`, operation.signal);
  if (findLayer(room.store, chainId) === undefined) {
    pin[Symbol.dispose]();
    return undefined;
  }
  operation.progress({ phase: "unpack", id: shortId(diffId), current: 0, message: "exists already" });
  return {
    chainId,
    diffId,
    made: false,
    warnings: [],
    [Symbol.dispose]: () => pin[Symbol.dispose](),
  };
}

/** Layers of the announced size; where none is announced, the one of the image that has the name now. */
async function possibleLayers(
  room: ImageRoom,
  source: FileRange,
  reference: string | undefined,
): Promise<SnapshotKey[]> {
  const announced = await announcedSize(source);
  const rows = announced === undefined
    ? room.store.all<{ chain_id: SnapshotKey }>(
      "SELECT chain_id FROM image_references JOIN image_layers USING (image_id) WHERE name = ? AND position = 0",
      reference ?? "",
    )
    : room.store.all<{ chain_id: SnapshotKey }>(
      "SELECT chain_id FROM layers WHERE parent IS NULL AND tar_bytes % ? = ?",
      announced.modulo,
      announced.size_bytes,
    );
  return rows.map(({ chain_id }) => chain_id);
}
