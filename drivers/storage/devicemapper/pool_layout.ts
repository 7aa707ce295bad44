/**
 * How a pool lies on a device of its own, and the label that says so. Pure.
 *
 * ```
 * 0         label, first copy   (4 KiB)
 * 64 KiB    label, second copy  (4 KiB): written in turns, the one with the higher sequence counts
 * 1 MiB     metadata "a"
 * …         metadata "b": where thin_repair puts what it could save of "a", and the other way round
 * …         data, to the end of the device
 * ```
 *
 * A pool that LVM made has its label in a thin device of its own, without the parts about places.
 */
import * as z from "zod";

/** Bytes of a sector, the unit of the device mapper. */
export const SECTOR_BYTES = 512;
/** Sectors of a data block: 64 KiB, what a first write to a shared block copies. */
export const BLOCK_SECTORS = 128;
/** Bytes of one copy of the label. */
export const LABEL_BYTES = 4096;
/** Where its copies are. */
export const LABEL_OFFSETS_BYTES = [0, 65536] as const;
/** Bytes before the metadata. */
export const HEADER_BYTES = 1 << 20;
/** What a pool needs at least: header, two times metadata, some data. */
export const POOL_BYTES_MIN = 64 << 20;
const METADATA_BYTES_MIN = 4 << 20;
/** The kernel uses no more. */
const METADATA_BYTES_MAX = 15.5 * 2 ** 30;
/** Twice what a mapping takes in a full tree, so that many snapshots find room. */
const METADATA_BYTES_PER_BLOCK = 96;
const MAGIC = "lamina thin pool\n";

const labelSchema = z.object({
  format: z.literal(1),
  /** Of this pool, never of another. */
  pool: z.string().regex(/^[0-9a-f-]{36}$/),
  /** Identity of the store whose snapshots these are. */
  store: z.string(),
  /** The driver's directory when the pool was last opened; for messages. */
  root: z.string(),
  /** Which copy counts. */
  sequence: z.number().int().nonnegative(),
  /** Absent in a pool that LVM made. */
  places: z.object({
    metadata: z.enum(["a", "b"]),
    metadata_sectors: z.number().int().positive(),
  }).optional(),
  /** The device with an empty file system that snapshots without a parent start as. */
  base: z.object({ thin: z.number().int(), fs: z.enum(["ext4", "xfs"]), size_bytes: z.number().int() }).optional(),
});

/** See the head of the file. */
export type PoolLabel = z.infer<typeof labelSchema>;

/** Where the parts are, in sectors. */
export interface PoolPlaces {
  readonly metadata: Readonly<Record<"a" | "b", number>>;
  readonly metadataSectors: number;
  readonly dataStart: number;
  readonly dataSectors: number;
}

/**
 * Sectors of metadata for a pool that may grow to `size_bytes`.
 */
export function metadataSectors(size_bytes: number): number {
  const blocks = size_bytes / (BLOCK_SECTORS * SECTOR_BYTES);
  const wanted_bytes = Math.min(Math.max(blocks * METADATA_BYTES_PER_BLOCK, METADATA_BYTES_MIN), METADATA_BYTES_MAX);
  const step_bytes = 1 << 20;
  return Math.ceil(wanted_bytes / step_bytes) * step_bytes / SECTOR_BYTES;
}

/** The places on a device of `device_bytes`; data is whole blocks. */
export function placesOf(device_bytes: number, metadata_sectors: number): PoolPlaces {
  const a = HEADER_BYTES / SECTOR_BYTES;
  const b = a + metadata_sectors;
  const dataStart = b + metadata_sectors;
  const room = Math.floor(device_bytes / SECTOR_BYTES) - dataStart;
  return {
    metadata: { a, b },
    metadataSectors: metadata_sectors,
    dataStart,
    dataSectors: Math.max(0, Math.floor(room / BLOCK_SECTORS) * BLOCK_SECTORS),
  };
}

/** One copy, {@linkcode LABEL_BYTES} long: magic, CRC-32 of the text in hexadecimal, text, zeros. */
export function encodeLabel(label: PoolLabel): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(label));
  const head = new TextEncoder().encode(`${MAGIC}${crc32(text).toString(16).padStart(8, "0")}\n`);
  if (head.length + text.length >= LABEL_BYTES) throw new RangeError("the pool's label is too long");
  const bytes = new Uint8Array(LABEL_BYTES);
  bytes.set(head);
  bytes.set(text, head.length);
  return bytes;
}

/** A copy as it was read: a label, `none` (not ours), `damaged` (ours, half written) or `foreign` (of another version). */
export function decodeLabel(bytes: Uint8Array): PoolLabel | "none" | "damaged" | "foreign" {
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  if (!text.startsWith(MAGIC)) return "none";
  const [sum, json] = [text.slice(MAGIC.length, MAGIC.length + 8), text.slice(MAGIC.length + 9)];
  if (crc32(new TextEncoder().encode(json)).toString(16).padStart(8, "0") !== sum) return "damaged";
  const parsed = labelSchema.safeParse(JSON.parse(json));
  return parsed.success ? parsed.data : "foreign";
}

/** What the copies say together. */
export function newestLabel(copies: readonly Uint8Array[]): PoolLabel | "none" | "damaged" | "foreign" {
  const read = copies.map(decodeLabel);
  const labels = read.filter((copy): copy is PoolLabel => typeof copy !== "string");
  if (labels.length > 0) return labels.reduce((best, label) => label.sequence > best.sequence ? label : best);
  return read.includes("foreign") ? "foreign" : read.includes("damaged") ? "damaged" : "none";
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
