/** Blobs of an OCI layout: found by digest, checked by size and digest. */
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Digest } from "../../core/ids.ts";
import { type ArchiveFiles, missing, readDocument } from "../archive/archive_files.ts";
import { digestOf } from "../chain_id.ts";
import { isNondistributable, layerCompression } from "../media_types.ts";
import type { Descriptor } from "../oci_schema.ts";
import type { SourceBlob } from "./source_image.ts";

/** Where a layout keeps the blob of that digest. */
export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/**
 * A small blob whose bytes are what the descriptor says.
 *
 * @param what For messages, e.g. `manifest`.
 * @throws `INVALID_ARGUMENT` when it is missing, `DATA_LOSS` when size or digest differ.
 */
export async function readBlob(
  files: ArchiveFiles,
  descriptor: Descriptor,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  await locateBlob(files, descriptor, what);
  const bytes = await readDocument(files, blobPath(descriptor.digest), what);
  const found = digestOf(bytes);
  if (found === descriptor.digest) return bytes;
  throw new LaminaError(
    "DATA_LOSS",
    `Cannot use ${files.label}: the ${what} ${descriptor.digest} is damaged, its bytes are ${found}`,
    { details: { expected: descriptor.digest, found } },
  );
}

/** The layer that a manifest names; its bytes are looked for when they are needed. */
export function layerBlob(files: ArchiveFiles, descriptor: Descriptor): SourceBlob {
  const compression = layerCompression(descriptor.mediaType);
  if (compression === undefined) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot import ${files.label}: the layer ${descriptor.digest} has the unknown media type ${
        JSON.stringify(descriptor.mediaType)
      }`,
      { details: { media_type: descriptor.mediaType } },
    );
  }
  const what = isNondistributable(descriptor.mediaType) ? "nondistributable layer" : "layer";
  return {
    compression,
    digest: descriptor.digest,
    size_bytes: descriptor.size,
    locate: () => locateBlob(files, descriptor, what),
  };
}

async function locateBlob(files: ArchiveFiles, descriptor: Descriptor, what: string): Promise<FileRange> {
  const path = blobPath(descriptor.digest);
  const range = await files.find(path);
  if (range === undefined) throw missing(files, path, what);
  if (range.length_bytes === descriptor.size) return range;
  throw new LaminaError(
    "DATA_LOSS",
    `Cannot use ${files.label}: the ${what} ${descriptor.digest} should have ${descriptor.size} bytes but has ${range.length_bytes}`,
    { details: { expected: descriptor.size, found: range.length_bytes } },
  );
}
