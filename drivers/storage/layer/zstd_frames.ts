/**
 * Finds where the frames of a zstd stream end. Deno's decompressor drops what follows a frame in the same write and
 * takes a stream that is cut short for a whole one (2.7.11), so each frame is fed to it by itself, and skippable
 * frames (used by seekable layers) not at all.
 */

/** Why a stream is no zstd. */
export class ZstdFormatError extends Error {
  override readonly name = "ZstdFormatError";
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50; // to …5f

type State = "magic" | "skip-size" | "skip" | "descriptor" | "header" | "block-header" | "block" | "checksum";

/** Cuts chunks at the ends of frames. */
export class ZstdFrameSplitter {
  #state: State = "magic";
  /** Bytes still wanted by the state. */
  #wanted = 4;
  /** Little-endian number made of the bytes of a small field. */
  #value = 0;
  #got = 0;
  #checksum = false;
  #lastBlock = false;

  /** Whether the stream may end here. */
  get betweenFrames(): boolean {
    return this.#state === "magic" && this.#got === 0;
  }

  /**
   * The parts of `chunk` that belong to data frames, each within one frame.
   *
   * @throws `ZstdFormatError` where no frame begins but something else.
   */
  *split(chunk: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>, void, void> {
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === "skip" || this.#state === "block" || this.#state === "checksum" || this.#state === "header") {
        const step = Math.min(this.#wanted, chunk.length - at);
        this.#wanted -= step;
        at += step;
        if (this.#wanted > 0) break;
        if (this.#state === "skip") {
          start = at;
          this.#enter("magic", 4);
        } else if (this.#state === "checksum" || this.#state === "block" && this.#lastBlock && !this.#checksum) {
          yield chunk.subarray(start, at);
          start = at;
          this.#enter("magic", 4);
        } else if (this.#state === "block" && this.#lastBlock) this.#enter("checksum", 4);
        else this.#enter("block-header", 3);
        continue;
      }
      this.#value += chunk[at++]! * 2 ** (8 * this.#got++);
      if (this.#got < this.#wanted) continue;
      switch (this.#state) {
        case "magic":
          if (this.#value === MAGIC) {
            // It is data only now that it is complete; it may have begun in the chunk before.
            yield magicBytes.slice();
            start = at;
            this.#enter("descriptor", 1);
          } else if (this.#value >= SKIPPABLE && this.#value <= SKIPPABLE + 15) this.#enter("skip-size", 4);
          else throw new ZstdFormatError("what follows a frame is no frame");
          break;
        case "skip-size": {
          const size = this.#value;
          start = at;
          if (size === 0) this.#enter("magic", 4);
          else this.#enter("skip", size);
          break;
        }
        case "descriptor": {
          const descriptor = this.#value;
          const single = (descriptor & 0x20) !== 0;
          const sizeCode = descriptor >> 6;
          this.#checksum = (descriptor & 4) !== 0;
          const rest = (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + [single ? 1 : 0, 2, 4, 8][sizeCode]!;
          this.#enter("header", rest);
          break;
        }
        case "block-header": {
          this.#lastBlock = (this.#value & 1) !== 0;
          const type = (this.#value >> 1) & 3;
          if (type === 3) throw new ZstdFormatError("a block has the reserved type");
          const size = type === 1 ? 1 : this.#value >> 3;
          if (size > 0) this.#enter("block", size);
          else if (!this.#lastBlock) this.#enter("block-header", 3);
          else if (this.#checksum) this.#enter("checksum", 4);
          else {
            yield chunk.subarray(start, at);
            start = at;
            this.#enter("magic", 4);
          }
          break;
        }
      }
    }
    // The rest of the chunk: data, unless it is a skippable frame or a magic number that is not complete.
    const inData = this.#state !== "magic" && this.#state !== "skip" && this.#state !== "skip-size";
    if (inData && start < at) yield chunk.subarray(start, at);
  }

  #enter(state: State, wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
    this.#value = 0;
    this.#got = 0;
  }
}

const magicBytes = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]);
