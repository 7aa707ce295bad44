/** Maps of sparse files: where the stored bytes of a file belong. Four notations exist; all give the same map. */
import { byteStringOf } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { BLOCK_BYTES, TarFormatError, tarNumber } from "./tar_header.ts";

/** Offsets and lengths in bytes, alternating, ascending and apart. Not stored: holes. */
export type SparseMap = readonly number[];

/** A file with more pieces than this is refused, because its map is held in memory. */
const MAX_PIECES = 1_000_000;

/** Collects a map; checks as far as one piece tells. */
export class SparseMapBuilder {
  readonly #map: number[] = [];

  add(offset: number, length: number): void {
    const pieces = this.#map.length;
    const end = pieces === 0 ? 0 : this.#map[pieces - 2]! + this.#map[pieces - 1]!;
    if (offset < end || length < 0 || !Number.isSafeInteger(offset + length)) {
      throw new TarFormatError("its sparse map is not ascending");
    }
    if (pieces >= MAX_PIECES * 2) {
      throw new LaminaError(
        "RESOURCE_EXHAUSTED",
        `a sparse file of the archive has more than ${MAX_PIECES} pieces. Store it without holes`,
      );
    }
    this.#map.push(offset, length);
  }

  /**
   * The map of a file.
   *
   * @param real_bytes Size of the file with its holes.
   * @param stored_bytes What the archive holds of it.
   */
  finish(real_bytes: number, stored_bytes: number): SparseMap {
    let stored = 0;
    for (let i = 1; i < this.#map.length; i += 2) stored += this.#map[i]!;
    const last = this.#map.length - 2;
    const end = last < 0 ? 0 : this.#map[last]! + this.#map[last + 1]!;
    if (stored !== stored_bytes || end > real_bytes || real_bytes < 0) {
      throw new TarFormatError("its sparse map does not fit its size");
    }
    return this.#map;
  }
}

/**
 * Adds the pieces of an old GNU header (4 at 386) or of one of its extension blocks (21 at 0).
 *
 * @returns Whether another extension block follows.
 */
export function addOldGnuPieces(block: Uint8Array, extension: boolean, map: SparseMapBuilder): boolean {
  const start = extension ? 0 : 386;
  const count = extension ? 21 : 4;
  for (let i = 0; i < count; i++) {
    const at = start + i * 24;
    if (block[at] === 0 && block[at + 12] === 0) break; // unused
    map.add(tarNumber(block, at, 12, "sparse offset"), tarNumber(block, at + 12, 12, "sparse length"));
  }
  return block[extension ? 504 : 482] !== 0;
}

/** Adds the pieces of a `GNU.sparse.map` record (pax format 0.1): numbers with commas between. */
export function addPaxMap(value: Uint8Array, map: SparseMapBuilder): void {
  if (value.length === 0) return;
  const numbers = byteStringOf(value).split(",");
  if (numbers.length % 2 !== 0) throw new TarFormatError("its sparse map is malformed");
  for (let i = 0; i < numbers.length; i += 2) map.add(decimal(numbers[i]!), decimal(numbers[i + 1]!));
}

function decimal(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new TarFormatError("its sparse map is malformed");
  return Number(text);
}

/**
 * Reads the map at the start of a file's data (pax format 1.0): a count, then offsets and lengths, each a decimal line,
 * padded to whole blocks.
 *
 * @param nextBlock Gives the next block of the data.
 * @returns Bytes of the data that were the map.
 */
export async function readPaxMapBlocks(nextBlock: () => Promise<Uint8Array>, map: SparseMapBuilder): Promise<number> {
  let blocks = 0;
  let line = "";
  let left: number | undefined;
  let offset: number | undefined;
  while (left === undefined || left > 0) {
    const block = await nextBlock();
    blocks++;
    for (const byte of block) {
      if (byte !== 0x0a) {
        line += String.fromCharCode(byte);
        if (line.length > 16) throw new TarFormatError("its sparse map is malformed");
        continue;
      }
      const number = decimal(line);
      line = "";
      if (left === undefined) left = number * 2;
      else {
        if (offset === undefined) offset = number;
        else {
          map.add(offset, number);
          offset = undefined;
        }
        left--;
      }
      if (left === 0) break;
    }
  }
  return blocks * BLOCK_BYTES;
}
