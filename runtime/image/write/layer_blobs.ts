/** The layers of an export as blobs: plain ones straight from the driver, compressed ones by way of a file. */
import { createHash } from "node:crypto";
import type { Digest } from "../../core/ids.ts";
import type { Operation } from "../../core/operation.ts";
import type { ExportCompression } from "../../core/specs/image.ts";
import { readRangeChunks, streamOf } from "../../../drivers/storage/layer/byte_streams.ts";
import { spool } from "../archive/spool.ts";
import { shortId } from "../chain_id.ts";
import type { ImageRoom } from "../image_room.ts";
import type { LayerRow } from "../image_rows.ts";

type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>;

/** A layer as it goes into an archive. */
export interface LayerBlobOut {
  readonly digest: Digest;
  readonly size_bytes: number;
  /** May be iterated once. */
  readonly chunks: Chunks;
}

/**
 * Gives `use` the blob of one layer. A plain layer has the digest and size that the store knows; for a compressed one
 * they are only known once it was made, and it is kept in a file meanwhile: one layer's worth of space, one compression.
 */
export async function* withLayerBlob<T>(
  room: ImageRoom,
  layer: LayerRow,
  compression: ExportCompression,
  operation: Operation,
  use: (blob: LayerBlobOut) => T,
): AsyncGenerator<T> {
  const recipe = room.layout.recipe(layer.chain_id);
  const plain = watched(room.driver.reassemble(layer.chain_id, recipe, layer.diff_id, operation), layer, operation);
  if (compression === "none") {
    yield use({ digest: layer.diff_id, size_bytes: layer.tar_bytes, chunks: plain });
    return;
  }
  const hash = createHash("sha256");
  const options = { directory: room.layout.staging, maxBytes: Infinity, label: `layer ${shortId(layer.diff_id)}` };
  const quiet = { ...operation, progress: () => {} };
  const made = room.engine.compress(streamOf(plain, operation), compression, quiet);
  await using file = await spool(hashed(made, hash), options, quiet);
  const digest = `sha256:${hash.digest("hex")}` as Digest;
  yield use({ digest, size_bytes: file.range.length_bytes, chunks: readRangeChunks(file.range) });
}

async function* watched(
  chunks: Chunks,
  layer: LayerRow,
  { progress, signal }: Operation,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const id = shortId(layer.diff_id);
  let current = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    current += chunk.length;
    progress({ phase: "export", id, current, total: layer.tar_bytes });
    yield chunk;
  }
}

async function* hashed(chunks: Chunks, hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
