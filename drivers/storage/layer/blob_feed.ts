/**
 * Where the bytes of an archive come from, and what they turn out to be. Reading, decompressing and hashing take as
 * long as writing the files does: with a core to spare they are done in a worker of their own ({@linkcode feedJob}).
 */
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Digest } from "../../../runtime/core/ids.ts";
import { fileSource, HashedSource } from "./blob_source.ts";
import { ChunkRing, RING_CHUNK_BYTES, type RingMemory } from "./chunk_ring.ts";
import { type ClosableSource, decompress, type PlainSource } from "./decompress.ts";
import type { JobContext } from "./job_protocol.ts";
import type { ChunkSource } from "./tar_blocks.ts";
import type { Compression, FileRange, LayerLimits } from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A blob and what is known of it. */
export interface FeedJob {
  /** Absent: the blob is the job's input stream. */
  readonly source?: FileRange;
  readonly compression: Compression;
  readonly digest?: string;
  readonly diffId?: string;
  readonly limits: Pick<LayerLimits, "maxTar_bytes">;
}

/** What a blob turned out to be. */
export interface BlobFacts {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly tar_bytes: number;
}

/** See the head of the file. */
export interface BlobFeed extends ChunkSource {
  /** After the last chunk. */
  facts(): Promise<BlobFacts>;
  /** The digest of the whole blob, although its archive was not read to the end. */
  digest(): Promise<string>;
  close(): void;
}

/** Reads the blob in this thread. */
export class DirectFeed implements BlobFeed {
  readonly #job: FeedJob;
  readonly #source: ClosableSource;
  readonly #blob: HashedSource;
  #plain: PlainSource | undefined;
  #tar: HashedSource | undefined;

  constructor(job: FeedJob, context: JobContext) {
    this.#job = job;
    this.#source = job.source === undefined ? inputOf(context) : fileSource(job.source);
    const id = job.digest ?? job.diffId ?? "";
    const total = job.source?.length_bytes;
    this.#blob = new HashedSource(this.#source, (current) => {
      context.throwIfCancelled();
      context.progress({ phase: "unpack", id, current, total });
    });
  }

  async next(): Promise<Bytes | undefined> {
    this.#tar ??= await this.#open();
    return await this.#tar.next();
  }

  /**
   * Frees a chunk that was used. The decompressor makes a new buffer for each, and this thread makes too little other
   * garbage for them to be collected before they have grown to 64 MiB.
   */
  release(chunk: Bytes): void {
    // One that reaches the end of its buffer is the last in it; behind others the decompressor goes on writing.
    const isLast = chunk.byteOffset + chunk.byteLength === chunk.buffer.byteLength;
    if (this.#plain?.compressed && isLast) chunk.buffer.transfer(0);
  }

  async facts(): Promise<BlobFacts> {
    await this.#blob.drain();
    const digest = this.#blob.digest();
    const diffId = this.#plain!.compressed ? this.#tar!.digest() : digest;
    return { digest, diffId, tar_bytes: this.#tar!.total_bytes };
  }

  async digest(): Promise<string> {
    this.#plain?.close();
    await this.#blob.drain();
    return this.#blob.digest();
  }

  close(): void {
    this.#plain?.close();
    this.#source.close();
  }

  async #open(): Promise<HashedSource> {
    this.#plain = await decompress(this.#blob, this.#job.compression);
    return new HashedSource(this.#plain, limitTar(this.#job.limits), this.#plain.compressed);
  }
}

/** Takes what {@linkcode feedJob} makes in another worker. */
export class RingFeed implements BlobFeed {
  readonly #ring: ChunkRing;
  readonly #buffer = new Uint8Array(RING_CHUNK_BYTES);

  constructor(memory: RingMemory, context: JobContext) {
    this.#ring = new ChunkRing(memory, () => context.throwIfCancelled());
  }

  next(): Promise<Bytes | undefined> {
    try {
      return Promise.resolve(this.#ring.read(this.#buffer));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  facts(): Promise<BlobFacts> {
    try {
      return Promise.resolve(JSON.parse(this.#ring.note()) as BlobFacts);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async digest(): Promise<string> {
    return (await this.facts()).digest;
  }

  close(): void {}
}

/**
 * Puts the bytes of an archive into a ring and ends it with the {@linkcode BlobFacts} as note. When the reader wants no
 * more bytes only the digest in them is right.
 */
export async function feedJob(job: FeedJob & { ring: RingMemory }, context: JobContext): Promise<void> {
  const ring = new ChunkRing(job.ring, () => context.throwIfCancelled());
  const feed = new DirectFeed(job, context);
  try {
    let taken = true;
    while (taken) {
      const chunk = await nextOf(feed, job);
      if (chunk === undefined) break;
      taken = ring.write(chunk);
      feed.release(chunk);
    }
    const facts = taken ? await feed.facts() : { digest: await feed.digest(), diffId: "", tar_bytes: 0 };
    ring.end(JSON.stringify(facts));
  } finally {
    feed.close();
  }
}

/** The next chunk; for a damaged blob that is not the one expected, the error says so. */
async function nextOf(feed: DirectFeed, job: FeedJob): Promise<Bytes | undefined> {
  try {
    return await feed.next();
  } catch (error) {
    throw await blamed(error, feed, job);
  }
}

/** A malformed archive whose blob is not the one that was asked for is the transport's fault, not the archive's. */
export async function blamed(error: unknown, feed: BlobFeed, job: FeedJob): Promise<unknown> {
  if (job.digest === undefined || !isLaminaError(error, "INVALID_ARGUMENT", "UNSUPPORTED")) return error;
  try {
    verify(await feed.digest(), job.digest, "The blob's digest");
  } catch (better) {
    if (isLaminaError(better, "DATA_LOSS", "CANCELLED")) {
      return new LaminaError(better.code, better.message, { cause: error, details: better.details });
    }
  }
  return error;
}

/** @throws `DATA_LOSS` when a digest is not the expected one. */
export function verify(found: string, expected: string | undefined, what: string): void {
  if (expected === undefined || expected === found) return;
  throw new LaminaError("DATA_LOSS", `${what} is ${found}, but ${expected} was expected. Get the image again`, {
    details: { expected, found },
  });
}

/** @throws `RESOURCE_EXHAUSTED` from the function it gives, once the archive is larger than the limit. */
export function limitTar({ maxTar_bytes }: Pick<LayerLimits, "maxTar_bytes">): (total_bytes: number) => void {
  return (total_bytes) => {
    if (total_bytes <= maxTar_bytes) return;
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `The uncompressed archive exceeds the limit of ${maxTar_bytes} bytes`,
      { details: { limit_bytes: maxTar_bytes } },
    );
  };
}

/** The job's input stream as a source. A chunk's memory is freed when the next is asked for. */
export function inputOf(context: JobContext): ClosableSource {
  let last: Bytes | undefined;
  return {
    async next() {
      last?.buffer.transfer(0);
      last = undefined;
      return last = await context.nextChunk();
    },
    close: () => {},
  };
}
