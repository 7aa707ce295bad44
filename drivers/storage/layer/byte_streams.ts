/** Bytes of files and streams, plain or compressed, in chunks. For what stays on the main thread: peeking and spooling. */
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGzip, createZstdCompress } from "node:zlib";
import { decompress, detectCompression } from "./decompress.ts";
import type { FileRange, TarStream } from "./types.ts";
import { isLaminaError, LaminaError, messageOf } from "../../../runtime/core/errors.ts";
import { abortable } from "../../../runtime/core/keyed_lock.ts";

/** Pieces of bytes. */
export type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>;

/** How bytes are compressed, by their first bytes. */
export type FoundCompression = "none" | "gzip" | "zstd";

/** Bytes that {@linkcode foundCompression} needs, fewer only if there are no more. */
export const MAGIC_BYTES = 263;
const CHUNK_BYTES = 1 << 18;

/**
 * What the first bytes say.
 *
 * @throws `UNSUPPORTED` for compressions that Lamina cannot read.
 */
export function foundCompression(head: Uint8Array, label: string): FoundCompression {
  try {
    return detectCompression(head);
  } catch (error) {
    throw new LaminaError("UNSUPPORTED", `Cannot read ${label}. ${messageOf(error)}`, { cause: error });
  }
}

/** The bytes of a range of a file. */
export function readRangeChunks(range: FileRange): Chunks {
  if (range.length_bytes === 0) return Readable.from([]);
  return createReadStream(range.path, {
    start: range.offset_bytes,
    end: range.offset_bytes + range.length_bytes - 1,
    highWaterMark: CHUNK_BYTES,
  });
}

/**
 * `bytes` decompressed. Leaving the iteration early ends the source too.
 *
 * @throws `INVALID_ARGUMENT` (from the iteration) when they are damaged or end early.
 */
export async function* decompressed(
  bytes: Chunks,
  compression: FoundCompression,
  label: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const iterator = bytes[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await iterator.next();
    return done ? undefined : value;
  };
  const source = await decompress({ next }, compression);
  try {
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) yield chunk;
  } catch (error) {
    if (!isLaminaError(error, "INVALID_ARGUMENT")) throw error;
    throw new LaminaError("INVALID_ARGUMENT", `Cannot read ${label}. ${error.message}`, { cause: error });
  } finally {
    source.close();
    await iterator.return?.();
  }
}

/** `bytes` compressed; the same bytes always give the same result. Leaving the iteration early ends the source too. */
export async function* compressed(
  bytes: Chunks,
  compression: Exclude<FoundCompression, "none">,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const encoder = compression === "gzip"
    ? createGzip({ chunkSize: CHUNK_BYTES })
    : createZstdCompress({ chunkSize: CHUNK_BYTES });
  let sourceError: unknown;
  const source = Readable.from(rethrowing(bytes, (error) => sourceError = error), { objectMode: false });
  pipeline(source, encoder, () => {/* the error reaches the iteration below */});
  try {
    yield* encoder as Chunks;
  } catch (error) {
    throw sourceError ?? error;
  } finally {
    source.destroy();
    encoder.destroy();
  }
}

/**
 * The chunks of a stream; leaving early cancels it.
 *
 * @throws from the iteration, the signal's reason as soon as it aborts, even while the stream gives nothing.
 */
export async function* streamChunks(
  stream: TarStream,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await abortable(reader.read(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Nothing of a stream that has ended; of another one whatever it says at its end is nobody's concern any more.
    reader.cancel(signal.reason).catch(() => {});
  }
}

/** What {@linkcode streamOf} may be told. */
export interface StreamOptions {
  /** When it aborts the source is ended and the stream fails, even if nobody reads it. */
  readonly signal?: AbortSignal;
  /** Called once, when the stream has ended, failed or was cancelled; who cancels waits for it. */
  readonly onEnd?: () => void | Promise<void>;
}

/** A stream of chunks; cancelling it ends their source. */
export function streamOf(chunks: Chunks, { signal, onEnd }: StreamOptions = {}): TarStream {
  const iterator = chunks[Symbol.asyncIterator]();
  let ended = false;
  let onAbort: () => void = () => {};
  const end = async () => {
    if (ended) return;
    ended = true;
    signal?.removeEventListener("abort", onAbort);
    try {
      await iterator.return?.();
    } finally {
      await onEnd?.();
    }
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      onAbort = () => {
        controller.error(signal!.reason);
        // The reason is what the reader learns; what else fails while everything is let go adds nothing.
        end().catch(() => {});
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    },
    async pull(controller) {
      try {
        const { done, value } = await iterator.next();
        if (ended) return;
        if (!done) return controller.enqueue(value);
        await end();
        controller.close();
      } catch (error) {
        if (ended) return;
        await end();
        throw error;
      }
    },
    cancel: end,
  }, { highWaterMark: 1 });
}

async function* rethrowing(
  bytes: Chunks,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    yield* bytes;
  } catch (error) {
    onError(error);
    throw error;
  }
}
