/** Compressed blobs as tar bytes: gzip (any number of members), zstd (any number of frames), or as they are. */
import zlib from "node:zlib";
import { LaminaError, messageOf } from "../../../runtime/core/errors.ts";
import type { ChunkSource } from "./tar_blocks.ts";
import type { Compression } from "./types.ts";
import { ZstdFormatError, ZstdFrameSplitter } from "./zstd_frames.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A chunk source that holds something until it is closed. */
export interface ClosableSource extends ChunkSource {
  /** Frees what it holds; no more chunks are asked for. */
  close(): void;
}

/** The bytes of an archive. */
export interface PlainSource extends ClosableSource {
  /** Whether they were compressed. */
  readonly compressed: boolean;
}

/** Of one chunk of output. Larger ones are faster by a few percent only. */
const OUTPUT_CHUNK_BYTES = 1 << 18;
/** Windows above 128 MiB are refused: nobody packs layers so, and the memory is ours. */
const MAX_WINDOW_LOG = 27;

/**
 * The bytes behind `source`. `auto` looks at the first of them.
 *
 * @throws from its `next`: `INVALID_ARGUMENT` for a damaged or truncated blob, `UNSUPPORTED` for bzip2 and xz.
 */
export async function decompress(source: ChunkSource, compression: Compression): Promise<PlainSource> {
  const first = await firstBytes(source);
  const found = compression === "auto" ? detectCompression(first.head) : compression;
  switch (found) {
    case "none":
      return { next: () => first.source.next(), close: () => {}, compressed: false };
    case "gzip":
      return new Inflater("gzip", zlib.createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES }), first.source);
    case "zstd":
      return new Inflater(
        "zstd",
        zlib.createZstdDecompress({
          chunkSize: OUTPUT_CHUNK_BYTES,
          params: { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
        }),
        first.source,
      );
  }
}

/**
 * The compression that the first bytes of a blob tell; 263 of them suffice.
 *
 * @throws `UNSUPPORTED` for bzip2 and xz.
 */
export function detectCompression(head: Uint8Array): Exclude<Compression, "auto"> {
  const starts = (...bytes: number[]) => bytes.every((byte, i) => head[i] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if ((head[0]! & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return "zstd";
  const isTar = String.fromCharCode(...head.subarray(257, 262)) === "ustar";
  const other = starts(0x42, 0x5a, 0x68) ? "bzip2" : starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0) ? "xz" : undefined;
  if (other !== undefined && !isTar) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot unpack an archive compressed with ${other}: only gzip and zstd are supported. Recompress it`,
    );
  }
  return "none";
}

const HEAD_BYTES = 263;

async function firstBytes(source: ChunkSource): Promise<{ head: Uint8Array; source: ChunkSource }> {
  const chunks: Bytes[] = [];
  let length = 0;
  while (length < HEAD_BYTES) {
    const chunk = await source.next();
    if (chunk === undefined) break;
    chunks.push(length === 0 && chunk.length >= HEAD_BYTES ? chunk : new Uint8Array(chunk)); // it may be reused by its source
    length += chunk.length;
  }
  const head = new Uint8Array(HEAD_BYTES);
  let at = 0;
  for (const chunk of chunks) {
    head.set(chunk.subarray(0, HEAD_BYTES - at), at);
    at = Math.min(HEAD_BYTES, at + chunk.length);
  }
  return { head, source: { next: () => chunks.length > 0 ? Promise.resolve(chunks.shift()) : source.next() } };
}

/** Feeds a Node decompressor no faster than its output is taken. */
class Inflater implements PlainSource {
  readonly compressed = true;
  readonly #name: "gzip" | "zstd";
  readonly #stream: zlib.Gunzip | zlib.ZstdDecompress;
  readonly #chunks: AsyncIterator<Bytes>;
  /** The source's own failure, which must not look like a damaged blob. */
  #sourceError: { readonly error: unknown } | undefined;

  constructor(name: "gzip" | "zstd", stream: zlib.Gunzip | zlib.ZstdDecompress, source: ChunkSource) {
    this.#name = name;
    this.#stream = stream;
    // The iterator reports errors, but only while somebody waits for it.
    stream.on("error", () => {});
    if (name === "zstd") catchZstdErrors(stream);
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Bytes>;
    void this.#feed(source);
  }

  async next(): Promise<Bytes | undefined> {
    try {
      for (;;) {
        const { value, done } = await this.#chunks.next();
        if (done) return undefined;
        if (value.length > 0) return value;
      }
    } catch (error) {
      if (this.#sourceError !== undefined) throw this.#sourceError.error;
      const found = error instanceof ZstdFormatError || error instanceof Error ? error.message : messageOf(error);
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot decompress the archive: its ${this.#name} data is damaged or cut short (${found}). Get it again`,
        { cause: error },
      );
    }
  }

  close(): void {
    this.#stream.destroy();
  }

  async #feed(source: ChunkSource): Promise<void> {
    const splitter = this.#name === "zstd" ? new ZstdFrameSplitter() : undefined;
    try {
      for (;;) {
        const chunk = await this.#read(source);
        if (chunk === undefined) break;
        if (splitter === undefined) await this.#write(chunk);
        else for (const part of splitter.split(chunk)) await this.#write(part);
        if (this.#stream.destroyed) return;
      }
      if (splitter !== undefined && !splitter.betweenFrames) throw new ZstdFormatError("unexpected end of data");
      this.#stream.end();
    } catch (error) {
      this.#stream.destroy(error instanceof Error ? error : new Error(messageOf(error)));
    }
  }

  async #read(source: ChunkSource): Promise<Bytes | undefined> {
    try {
      return await source.next();
    } catch (error) {
      this.#sourceError = { error };
      throw error;
    }
  }

  /** Ends when the bytes were taken in, so that their memory can be used again, or when the stream is closed. */
  async #write(bytes: Bytes): Promise<void> {
    if (this.#stream.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => resolve();
    this.#stream.once("close", done);
    this.#stream.write(bytes, done);
    await promise;
    this.#stream.off("close", done);
  }
}

const zstdStreams = new Set<{ destroy(error: Error): unknown }>();

/**
 * Deno 2.7 throws the error of a zstd stream into the void, where it would end the worker, instead of giving it to the
 * stream. A job has one stream at a time, so an error of that kind is that stream's.
 */
function catchZstdErrors(stream: zlib.ZstdDecompress | zlib.Gunzip): void {
  if (zstdStreams.size === 0) addEventListener("error", giveToZstdStreams);
  zstdStreams.add(stream);
  stream.once("close", () => {
    zstdStreams.delete(stream);
    if (zstdStreams.size === 0) removeEventListener("error", giveToZstdStreams);
  });
}

function giveToZstdStreams(event: ErrorEvent): void {
  if (!/zstd/i.test(event.message)) return;
  event.preventDefault();
  for (const stream of zstdStreams) {
    stream.destroy(event.error instanceof Error ? event.error : new Error(event.message));
  }
}
