/** Writes images as one archive. */
import { LaminaError } from "../../core/errors.ts";
import { backgroundOperation, type Operation } from "../../core/operation.ts";
import type { ByteStream, ExportOptions } from "../../services.ts";
import { streamOf } from "../../../drivers/storage/layer/byte_streams.ts";
import { lookUpImage } from "../image_lookup.ts";
import type { ImageRoom } from "../image_room.ts";
import { type ImageRow, type LayerRow, layersOf } from "../image_rows.ts";
import { freeLayers } from "../layer_garbage.ts";
import { dockerMembers } from "./docker_members.ts";
import { ociMembers } from "./oci_members.ts";
import { tarArchive } from "./tar_archive.ts";

/** An image and the names that it is exported under: those that the caller used. */
export interface ExportedImage {
  readonly row: ImageRow;
  readonly references: readonly string[];
  readonly layers: readonly LayerRow[];
}

/**
 * One archive of several images, as a stream. Their layers stay until the stream ends, fails or is cancelled.
 *
 * @throws `NOT_FOUND`, `INVALID_ARGUMENT` (no name at all). The stream itself fails with `DATA_LOSS` when a layer's
 * files are no longer those that were imported.
 */
export function exportImages(
  room: ImageRoom,
  names: readonly string[],
  options: ExportOptions,
  operation: Operation,
): ByteStream {
  if (names.length === 0) throw new LaminaError("INVALID_ARGUMENT", "Cannot export: no image was named");
  operation.signal.throwIfAborted();
  const images = collect(room, names);
  const members = options.format === "oci" ? ociMembers : dockerMembers;
  const chainIds = images.flatMap(({ layers }) => layers.map(({ chain_id }) => chain_id));
  const pins = room.pins.pin(chainIds);
  return streamOf(tarArchive(members(room, images, options.compression, operation)), {
    signal: operation.signal,
    onEnd: async () => {
      pins[Symbol.dispose]();
      // Those whose image was removed meanwhile were left to us.
      await freeLayers(room, chainIds.reverse(), backgroundOperation());
    },
  });
}

function collect(room: ImageRoom, names: readonly string[]): ExportedImage[] {
  const images = new Map<string, ExportedImage>();
  for (const name of names) {
    const { row, reference } = lookUpImage(room.store, name);
    const before = images.get(row.id);
    const references = new Set([...before?.references ?? [], ...(reference === undefined ? [] : [reference])]);
    images.set(row.id, { row, references: [...references], layers: before?.layers ?? layersOf(room.store, row.id) });
  }
  return [...images.values()];
}
