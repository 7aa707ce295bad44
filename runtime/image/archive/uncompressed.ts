/** Facts of a blob's uncompressed bytes that nobody has stated: their digest and their size. */
import { createHash } from "node:crypto";
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import type { Digest } from "../../core/ids.ts";
import { readRange } from "./archive_files.ts";
import {
  decompressed,
  foundCompression,
  MAGIC_BYTES,
  readRangeChunks,
} from "../../../drivers/storage/layer/byte_streams.ts";

/** Digest of what a range of a file holds when it is decompressed. Reads all of it. */
export async function uncompressedDigest(range: FileRange, label: string, signal: AbortSignal): Promise<Digest> {
  const head = await readRange({ ...range, length_bytes: Math.min(range.length_bytes, MAGIC_BYTES) });
  const hash = createHash("sha256");
  for await (const chunk of decompressed(readRangeChunks(range), foundCompression(head, label), label)) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  return `sha256:${hash.digest("hex")}` as Digest;
}

/** A size that is only known modulo a number. */
export interface AnnouncedSize {
  readonly size_bytes: number;
  readonly modulo: number;
}

/** How large the uncompressed bytes are, as far as the file says so without being read; gzip says it modulo 2^32. */
export async function announcedSize(range: FileRange): Promise<AnnouncedSize | undefined> {
  const head = await readRange({ ...range, length_bytes: Math.min(range.length_bytes, MAGIC_BYTES) });
  const compression = foundCompression(head, range.path);
  if (compression === "none") return { size_bytes: range.length_bytes, modulo: Number.MAX_SAFE_INTEGER };
  if (compression === "zstd") {
    const size_bytes = zstdContentSize(head);
    return size_bytes === undefined ? undefined : { size_bytes, modulo: Number.MAX_SAFE_INTEGER };
  }
  // Header (10 bytes) and trailer (CRC, size) of the only member.
  if (range.length_bytes < 18) return undefined;
  const end = range.offset_bytes + range.length_bytes;
  const trailer = await readRange({ ...range, offset_bytes: end - 4, length_bytes: 4 });
  return { size_bytes: new DataView(trailer.buffer).getUint32(0, true), modulo: 2 ** 32 };
}

/** What the header of a zstd frame says of the size of its content; further frames are not counted. RFC 8878, 3.1.1.1. */
function zstdContentSize(head: Uint8Array<ArrayBuffer>): number | undefined {
  const descriptor = head[4] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const width = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (head[0] !== 0x28 || width === 0 || head.length < at + width) return undefined;
  const field = head.subarray(at, at + width);
  const value = field.reduceRight((sum, byte) => sum * 256 + byte, 0);
  return width === 2 ? value + 256 : value;
}
