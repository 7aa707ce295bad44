/**
 * One tar header block: v7, ustar, GNU and pax have it in common. Numbers are octal text or, as GNU and star write
 * them, base-256. Names are bytes.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";

/** Bytes of a block; everything in an archive starts at a multiple. */
export const BLOCK_BYTES = 512;

/** Why a block is no header; the reader adds where it is. */
export class TarFormatError extends Error {
  override readonly name = "TarFormatError";
}

/** A header block as it stands, before pax records and long names amend it. */
export interface TarHeader {
  /** With the ustar prefix. */
  name: ByteString;
  linkName: ByteString;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow. */
  readonly size_bytes: number;
  readonly mtime_s: number;
  /** One character; `"0"` for the NUL of old archives. */
  readonly typeFlag: string;
  readonly devMajor: number;
  readonly devMinor: number;
}

const CHECKSUM_AT = 148;
const zeroWords = new BigUint64Array(BLOCK_BYTES / 8);

/** Whether a block holds nothing but zeros, as the two at an archive's end do. */
export function isZeroBlock(block: Uint8Array): boolean {
  if (block[0] !== 0) return false;
  if ((block.byteOffset & 7) === 0) {
    const words = new BigUint64Array(block.buffer, block.byteOffset, zeroWords.length);
    return words.every((word) => word === 0n);
  }
  return block.every((byte) => byte === 0);
}

/**
 * Reads a header block of {@linkcode BLOCK_BYTES} bytes.
 *
 * @throws `TarFormatError` when the checksum or a number is wrong.
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  verifyChecksum(block);
  const flag = block[156]!;
  // "ustar\0" is POSIX; "ustar  \0" is GNU, whose prefix field holds other things.
  const posix = block[257] === 0x75 && block[258] === 0x73 && block[259] === 0x74 && block[260] === 0x61 &&
    block[261] === 0x72 && block[262] === 0;
  let name = tarText(block, 0, 100);
  if (posix) {
    const prefix = tarText(block, 345, 155);
    if (prefix !== "") name = `${prefix}/${name}` as ByteString;
  }
  const isDevice = flag === 0x33 || flag === 0x34;
  return {
    name,
    linkName: tarText(block, 157, 100),
    mode: tarNumber(block, 100, 8, "mode") & 0o7777,
    uid: tarNumber(block, 108, 8, "uid"),
    gid: tarNumber(block, 116, 8, "gid"),
    size_bytes: tarNumber(block, 124, 12, "size"),
    mtime_s: tarNumber(block, 136, 12, "mtime"),
    typeFlag: flag === 0 ? "0" : String.fromCharCode(flag),
    devMajor: isDevice ? tarNumber(block, 329, 8, "device major") : 0,
    devMinor: isDevice ? tarNumber(block, 337, 8, "device minor") : 0,
  };
}

/** Bytes up to the first NUL, at most `length`. */
export function tarText(block: Uint8Array, at: number, length: number): ByteString {
  let end = at;
  const limit = at + length;
  while (end < limit && block[end] !== 0) end++;
  if (end === at) return "" as ByteString;
  return String.fromCharCode.apply(null, block.subarray(at, end) as unknown as number[]) as ByteString;
}

/**
 * A number field: octal digits between optional blanks, empty meaning 0, or base-256 with the top bit set.
 *
 * @param what Name of the field, for the error.
 * @throws `TarFormatError` for anything else and for what a double cannot hold exactly.
 */
export function tarNumber(block: Uint8Array, at: number, length: number, what: string): number {
  const first = block[at]!;
  if (first & 0x80) return base256(block, at, length, what);
  let i = at;
  const limit = at + length;
  while (i < limit && (block[i] === 0x20 || block[i] === 0)) i++;
  let value = 0;
  for (; i < limit; i++) {
    const digit = block[i]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  // What follows the terminator is nobody's business: some programs leave rubbish there.
  if (i < limit && block[i] !== 0 && block[i] !== 0x20) throw new TarFormatError(`its ${what} is no number`);
  return value;
}

function base256(block: Uint8Array, at: number, length: number, what: string): number {
  const negative = (block[at]! & 0x40) !== 0;
  let value = negative ? (block[at]! | 0x80) - 256 : block[at]! & 0x7f;
  for (let i = at + 1; i < at + length; i++) {
    value = value * 256 + block[i]!;
    if (!Number.isSafeInteger(value)) throw new TarFormatError(`its ${what} is out of range`);
  }
  return value;
}

function verifyChecksum(block: Uint8Array): void {
  const expected = tarNumber(block, CHECKSUM_AT, 8, "checksum");
  let sum = 0;
  let high = 0;
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = block[i]!;
    sum += byte;
    high += byte >> 7;
  }
  for (let i = CHECKSUM_AT; i < CHECKSUM_AT + 8; i++) {
    sum += 0x20 - block[i]!;
    high -= block[i]! >> 7;
  }
  // Some old programs summed the bytes as signed ones.
  if (sum !== expected && sum - 256 * high !== expected) throw new TarFormatError("its checksum is wrong");
}
