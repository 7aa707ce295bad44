/** The bytes of a layer on their way in: read, counted, hashed. */
import { createHash, type Hash } from "node:crypto";
import type { Digest } from "../../../runtime/core/ids.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { closeFd, openAt, preadFd } from "../../../runtime/host/fs_calls.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { AT_FDCWD, O_RDONLY } from "../../../runtime/host/openat2.ts";
import type { ClosableSource } from "./decompress.ts";
import type { ChunkSource } from "./tar_blocks.ts";
import { absolutePath } from "./tree_error.ts";
import type { FileRange } from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const READ_BYTES = 1 << 18;

/**
 * A range of a file, in chunks.
 *
 * @throws from `next`: `DATA_LOSS` when the file ends before the range does.
 */
export function fileSource(range: FileRange): ClosableSource {
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, absolutePath(range.path), O_RDONLY);
  } catch (error) {
    throw hostError(error, `Cannot read the blob ${range.path}`);
  }
  let at_bytes = 0;
  // One buffer for all chunks: a new one for each would be garbage of the size of the layer.
  const whole = new Uint8Array(Math.max(0, Math.min(range.length_bytes, READ_BYTES)));
  const read = (): Bytes | undefined => {
    const left = range.length_bytes - at_bytes;
    if (left <= 0) return undefined;
    const buffer = left < whole.length ? whole.subarray(0, left) : whole;
    const count = preadFd(fd, buffer, range.offset_bytes + at_bytes);
    if (count === 0) {
      throw new LaminaError(
        "DATA_LOSS",
        `The blob ${range.path} ends after ${at_bytes} of ${range.length_bytes} bytes. Get it again`,
      );
    }
    at_bytes += count;
    return count === buffer.length ? buffer : buffer.subarray(0, count);
  };
  return {
    next() {
      try {
        return Promise.resolve(read());
      } catch (error) {
        return Promise.reject(error);
      }
    },
    close: () => closeFd(fd),
  };
}

/** Counts and hashes what passes through, up to a limit. */
export class HashedSource implements ChunkSource {
  readonly #source: ChunkSource;
  readonly #hash: Hash | undefined;
  readonly #passed: (total_bytes: number) => void;
  #digest: Digest | undefined;
  /** Bytes so far. */
  total_bytes = 0;

  /**
   * @param passed Called with the total after each chunk, before it is given; throws to end the work.
   * @param hash False: only counts.
   */
  constructor(source: ChunkSource, passed: (total_bytes: number) => void, hash = true) {
    this.#source = source;
    this.#hash = hash ? createHash("sha256") : undefined;
    this.#passed = passed;
  }

  async next(): Promise<Bytes | undefined> {
    const chunk = await this.#source.next();
    if (chunk === undefined) return undefined;
    this.total_bytes += chunk.length;
    this.#passed(this.total_bytes);
    this.#hash?.update(chunk);
    return chunk;
  }

  /** Reads what is left, so that the hash is that of everything. */
  async drain(): Promise<void> {
    while (await this.next() !== undefined);
  }

  /** `sha256:…` of what has passed; nothing may pass afterwards. */
  digest(): Digest {
    return this.#digest ??= `sha256:${this.#hash!.digest("hex")}` as Digest;
  }
}
