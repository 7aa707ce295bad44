/** The bytes of an archive on their way out, in chunks that can be given away. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { readFd } from "../../../runtime/host/fs_calls.ts";
import { BLOCK_BYTES, padded } from "./tar_encode.ts";
import { changedMeanwhile, treeError } from "./tree_error.ts";

/** What goes out at a time. */
export const CHUNK_BYTES = 256 * 1024;

type Chunk = Uint8Array<ArrayBuffer>;

/**
 * Gathers headers and file contents into chunks. The consumer takes full ones by {@linkcode TarOutput.take} after each
 * entry; each has a buffer of its own, which may be transferred.
 */
export class TarOutput {
  readonly #check: () => void;
  #chunk: Chunk = new Uint8Array(CHUNK_BYTES);
  #used = 0;
  readonly #full: Chunk[] = [];

  /** @param check Called once per chunk; throws to end the work. */
  constructor(check: () => void = () => {}) {
    this.#check = check;
  }

  /** Adds bytes (a header; they are copied). */
  put(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      const count = Math.min(bytes.length - from, this.#chunk.length - this.#used);
      this.#chunk.set(from === 0 && count === bytes.length ? bytes : bytes.subarray(from, from + count), this.#used);
      this.#advance(count);
      from += count;
    }
  }

  /**
   * Adds the content of an open file and its padding. Exactly `size_bytes` go out: what has been appended since the
   * header was written is cut off.
   *
   * @throws `CONFLICT` when the file ends early.
   */
  *file(fd: number, size_bytes: number, path: ByteString): Generator<Chunk, void, void> {
    for (let left = size_bytes; left > 0;) {
      const end = Math.min(this.#chunk.length, this.#used + left);
      let count: number;
      try {
        count = readFd(fd, this.#chunk.subarray(this.#used, end));
      } catch (error) {
        throw treeError("Cannot read", path, error);
      }
      if (count === 0) throw changedMeanwhile("Cannot archive", path, `it shrank below ${size_bytes} bytes`);
      left -= count;
      this.#advance(count);
      yield* this.take();
    }
    this.#zeros(padded(size_bytes) - size_bytes);
  }

  /** Adds the two empty blocks that end an archive, and gives out everything. */
  *end(): Generator<Chunk, void, void> {
    this.#zeros(2 * BLOCK_BYTES);
    yield* this.take();
    if (this.#used > 0) yield this.#chunk.slice(0, this.#used);
    this.#used = 0;
  }

  /** The full chunks. */
  *take(): Generator<Chunk, void, void> {
    while (this.#full.length > 0) {
      this.#check();
      yield this.#full.shift()!;
    }
  }

  // A new chunk is all zeros, and what is used is never used again: there is nothing to write.
  #zeros(count: number): void {
    while (count > 0) {
      const step = Math.min(count, this.#chunk.length - this.#used);
      this.#advance(step);
      count -= step;
    }
  }

  #advance(count: number): void {
    this.#used += count;
    if (this.#used < this.#chunk.length) return;
    this.#full.push(this.#chunk);
    this.#chunk = new Uint8Array(CHUNK_BYTES);
    this.#used = 0;
  }
}
