/** A stream of chunks of any size, read as blocks and pieces, with as little copying as that allows. */
import { BLOCK_BYTES } from "./tar_header.ts";

/** Gives chunks, never empty ones, each valid until the next is asked for; `undefined` at the end. */
export interface ChunkSource {
  next(): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

type Bytes = Uint8Array<ArrayBuffer>;

const nothing: Bytes = new Uint8Array(0);

/** See the head of the file. Everything but `piece` also goes to `onRaw`. */
export class BlockSource {
  readonly #source: ChunkSource;
  readonly #onRaw: (bytes: Bytes) => void;
  readonly #assembled = new Uint8Array(BLOCK_BYTES);
  #chunk: Bytes = nothing;
  #at = 0;
  #ended = false;
  /** Bytes of the archive taken so far. */
  offset_bytes = 0;
  /** The block that {@linkcode block} gave last. */
  lastBlock: Bytes = this.#assembled;

  constructor(source: ChunkSource, onRaw: (bytes: Bytes) => void) {
    this.#source = source;
    this.#onRaw = onRaw;
  }

  /**
   * The next block, valid until the next call of anything here; `undefined` at the end. A last block that is cut short
   * is completed with zeros when all of it is zeros, as is the case with archives that are not padded; otherwise it is
   * given as it is with zeros behind, and its checksum tells.
   */
  async block(): Promise<Bytes | undefined> {
    const chunk = this.#chunk;
    const at = this.#at;
    if (chunk.length - at >= BLOCK_BYTES) {
      this.#at = at + BLOCK_BYTES;
      this.offset_bytes += BLOCK_BYTES;
      this.lastBlock = chunk.subarray(at, at + BLOCK_BYTES);
      this.#onRaw(this.lastBlock);
      return this.lastBlock;
    }
    const block = this.#assembled;
    let filled = 0;
    while (filled < BLOCK_BYTES) {
      const piece = await this.piece(BLOCK_BYTES - filled);
      if (piece === undefined) break;
      block.set(piece, filled);
      filled += piece.length;
    }
    if (filled === 0) return undefined;
    this.#onRaw(block.subarray(0, filled));
    block.fill(0, filled);
    this.lastBlock = block;
    return block;
  }

  /** At least one and at most `max_bytes` bytes, a view of the chunk at hand; `undefined` at the end. */
  async piece(max_bytes: number): Promise<Bytes | undefined> {
    if (this.#at === this.#chunk.length) {
      const chunk = this.#ended ? undefined : await this.#source.next();
      // The chunk before is not valid any more, whether there is another or not.
      this.#at = 0;
      this.#chunk = chunk ?? nothing;
      if (chunk === undefined) {
        this.#ended = true;
        return undefined;
      }
    }
    const piece = this.#chunk.subarray(this.#at, this.#at + max_bytes);
    this.#at += piece.length;
    this.offset_bytes += piece.length;
    return piece;
  }

  /** Exactly `count_bytes` bytes in memory of their own; `undefined` when the archive ends before. */
  async copy(count_bytes: number): Promise<Bytes | undefined> {
    const bytes = new Uint8Array(count_bytes);
    for (let filled = 0; filled < count_bytes;) {
      const piece = await this.piece(count_bytes - filled);
      if (piece === undefined) return undefined;
      bytes.set(piece, filled);
      filled += piece.length;
    }
    if (count_bytes > 0) this.#onRaw(bytes);
    return bytes;
  }

  /** Takes `count_bytes` bytes. Returns how many of them the archive does not have. */
  async skip(count_bytes: number): Promise<number> {
    let left = count_bytes;
    while (left > 0) {
      const piece = await this.piece(left);
      if (piece === undefined) return left;
      this.#onRaw(piece);
      left -= piece.length;
    }
    return 0;
  }

  /** Takes everything that is left. */
  async drain(): Promise<void> {
    for (let piece = await this.piece(1 << 20); piece !== undefined; piece = await this.piece(1 << 20)) {
      this.#onRaw(piece);
    }
  }
}
