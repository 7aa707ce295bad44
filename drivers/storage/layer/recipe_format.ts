/**
 * The recipe of a layer's original archive: everything of it that is no file content, and where in the layer's tree
 * the contents are. With it the archive is put together again byte for byte without being stored twice (an idea of
 * tar-split's).
 *
 * ```
 * magic (8) · length of the main part (u64)
 * main part:   blocks. Their contents in a row are records:
 *                RAW     1, length, bytes              bytes of the archive
 *                FILE    2, path, offset, length       content of a file, as of this entry
 *                MORE    3, offset, length             a further piece of that file (sparse files)
 *                END     0
 * asides:      length of the path (u32) · path · length of the content (u64) · its blocks
 * block:       length (u32) · compressed length (u32) · zstd frame
 * ```
 *
 * Numbers in records are LEB128, all others little-endian. An *aside* is the content of a file that a later entry of
 * the same archive replaced or removed: the first FILE record of a path takes the first aside of that path, and so on;
 * the record for which there is none takes the file in the tree.
 */
import zlib from "node:zlib";

/** First bytes of a recipe. */
export const RECIPE_MAGIC = new TextEncoder().encode("LAMREC1\n");
/** Where the main part begins. */
export const RECIPE_MAIN_AT = 16;
/** Uncompressed bytes of a full block. */
export const RECIPE_BLOCK_BYTES = 1 << 18;

/** Kinds of records. */
export const RECORD = { END: 0, RAW: 1, FILE: 2, MORE: 3 } as const;

type Bytes = Uint8Array<ArrayBuffer>;

/** Something is wrong with a recipe's bytes. */
export class RecipeFormatError extends Error {
  override readonly name = "RecipeFormatError";
}

/** A block, ready to be written. */
export function packBlock(content: Uint8Array): Bytes {
  const frame = zlib.zstdCompressSync(content, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } });
  const block = new Uint8Array(8 + frame.length);
  const view = new DataView(block.buffer);
  view.setUint32(0, content.length, true);
  view.setUint32(4, frame.length, true);
  block.set(frame, 8);
  return block;
}

function unpackFrame(frame: Bytes): Bytes {
  try {
    const content = zlib.zstdDecompressSync(frame, { maxOutputLength: RECIPE_BLOCK_BYTES });
    return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.length);
  } catch (error) {
    throw new RecipeFormatError("a block cannot be decompressed", { cause: error });
  }
}

/** Reads blocks from a file; `pread` fills the buffer or throws. */
export class BlockReader {
  readonly #pread: (buffer: Bytes, offset: number) => void;
  readonly #head = new Uint8Array(8);
  offset: number;

  constructor(pread: (buffer: Bytes, offset: number) => void, offset: number) {
    this.#pread = pread;
    this.offset = offset;
  }

  /** The next block's content. */
  next(): Bytes {
    const [raw, packed] = this.#lengths();
    const frame = new Uint8Array(packed);
    this.#pread(frame, this.offset + 8);
    this.offset += 8 + packed;
    const content = unpackFrame(frame);
    if (content.length !== raw) throw new RecipeFormatError("a block has another length than it says");
    return content;
  }

  /** Passes over the next block and returns its content's length. */
  skip(): number {
    const [raw, packed] = this.#lengths();
    this.offset += 8 + packed;
    return raw;
  }

  #lengths(): [number, number] {
    this.#pread(this.#head, this.offset);
    const view = new DataView(this.#head.buffer);
    const raw = view.getUint32(0, true);
    const packed = view.getUint32(4, true);
    if (raw === 0 || raw > RECIPE_BLOCK_BYTES || packed > RECIPE_BLOCK_BYTES + 65_536) {
      throw new RecipeFormatError("a block has an impossible length");
    }
    return [raw, packed];
  }
}

/** Bytes of the longest LEB128 number. */
export const MAX_NUMBER_BYTES = 8;

/** Writes a number as LEB128 at `at`; returns where it ends. */
export function putNumber(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 128) {
    bytes[at++] = value % 128 + 128;
    value = Math.floor(value / 128);
  }
  bytes[at++] = value;
  return at;
}
