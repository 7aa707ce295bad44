/** What a tar is, by its first entries. */
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type TarEntry, TarReader } from "../../../drivers/storage/layer/tar_reader.ts";
import { DEFAULT_LAYER_LIMITS } from "../../../drivers/storage/layer/types.ts";
import { ZstdFormatError, ZstdFrameSplitter } from "../../../drivers/storage/layer/zstd_frames.ts";
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import { archivePath } from "./archive_files.ts";
import type { FoundCompression } from "../../../drivers/storage/layer/byte_streams.ts";

/** Names at the top of a root file system that no image archive has. */
const rootNames = new Set(
  ("bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var .dockerenv")
    .split(" "),
);
/** Entries looked at: the first that is not the top directory tells nearly always. */
const MAX_ENTRIES = 100;
/** Uncompressed bytes looked at. */
const MAX_PLAIN_BYTES = 1 << 18;

/** Whether an entry can only be one of a root file system, and not of an image archive. */
export function isRootfsEntry({ type, name }: TarEntry): boolean {
  if (type === "char" || type === "block" || type === "fifo") return true;
  const path = archivePath(name);
  return path !== undefined && (rootNames.has(path.split("/", 1)[0]!) || path.startsWith(".wh."));
}

/**
 * Whether the head of an archive shows a root file system. False: an image archive, or not to be told from the head.
 *
 * @param head First bytes of the file, as stored.
 * @throws `INVALID_ARGUMENT` when it is no tar at all.
 */
export async function headShowsRootfs(
  head: Uint8Array<ArrayBuffer>,
  compression: FoundCompression,
  label: string,
): Promise<boolean> {
  const plain = await plainHead(head, compression);
  let given = false;
  const next = () => {
    const chunk = given ? undefined : plain;
    given = true;
    return Promise.resolve(chunk === undefined || chunk.length === 0 ? undefined : chunk);
  };
  const reader = new TarReader({ next }, DEFAULT_LAYER_LIMITS, () => {});
  for (let i = 0; i < MAX_ENTRIES; i++) {
    let entry;
    try {
      entry = await reader.next();
    } catch (error) {
      if (i === 0 && plain.length >= 512) throw noTar(label, error);
      // The head ends within an entry.
      if (isLaminaError(error)) return false;
      throw error;
    }
    if (entry === undefined) return false;
    if (isRootfsEntry(entry)) return true;
  }
  return false;
}

/**
 * As much of the head as can be decompressed, up to a limit; a little more, as the last piece is kept whole. Damage is
 * not reported: whoever reads the whole meets it again.
 */
async function plainHead(
  head: Uint8Array<ArrayBuffer>,
  compression: FoundCompression,
): Promise<Uint8Array<ArrayBuffer>> {
  if (compression === "none") return head;
  const pieces: Uint8Array[] = [];
  let length = 0;
  const { promise: enough, resolve: finish } = Promise.withResolvers<void>();
  const decoder = compression === "gzip" ? createGunzip() : createZstdDecompress();
  decoder.on("data", (piece: Uint8Array) => {
    if (length < MAX_PLAIN_BYTES) pieces.push(piece);
    length += piece.length;
    if (length >= MAX_PLAIN_BYTES) finish();
  });
  decoder.on("error", () => finish());
  decoder.on("end", () => finish());
  // Never ended, because the head ends in the middle: what came out by then is what there is.
  for (const part of compression === "gzip" ? [head] : framesOf(head)) decoder.write(part, () => {});
  decoder.write(new Uint8Array(0), () => setTimeout(finish));
  await enough;
  decoder.destroy();
  return concatenated(pieces);
}

function framesOf(head: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try {
    for (const part of new ZstdFrameSplitter().split(head)) parts.push(part);
  } catch (error) {
    if (!(error instanceof ZstdFormatError)) throw error;
  }
  return parts;
}

/** The pieces in one. */
export function concatenated(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function noTar(label: string, cause: unknown): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot import ${label}: it is no tar archive. An OCI layout, a "docker save" archive or a rootfs tar is needed`,
    { cause },
  );
}
