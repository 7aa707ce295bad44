/** What every kind of archive is read into before anything is changed. */
import type { Compression, FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Digest, SnapshotKey } from "../../core/ids.ts";
import { chainIdsOf, digestOf } from "../chain_id.ts";
import { parseDocument } from "../json_document.ts";
import { ImageConfig, MAX_LAYERS } from "../oci_schema.ts";
import { formatPlatform, machinePlatform, parsePlatform, type Platform } from "../platform.ts";

/** The bytes of a layer in an archive. */
export interface SourceBlob {
  readonly compression: Compression;
  /** Of the bytes as stored, where the archive says so. */
  readonly digest?: Digest;
  /** As stored; for progress. */
  readonly size_bytes?: number;
  /**
   * Looks for the bytes. Only asked for layers that are not there yet.
   *
   * @throws `INVALID_ARGUMENT` when they are missing, `DATA_LOSS` when their size differs from what the archive says.
   */
  locate(): Promise<FileRange>;
}

/** One layer of an image. */
export interface SourceLayer {
  readonly diffId: Digest;
  readonly chainId: SnapshotKey;
  readonly blob: SourceBlob;
}

/** One image of an archive, checked as far as that goes without reading its layers. */
export interface SourceImage {
  /** Digest of the config. */
  readonly id: Digest;
  readonly configBytes: Uint8Array<ArrayBuffer>;
  readonly config: ImageConfig;
  /** `os/architecture[/variant]` */
  readonly platform: string;
  /** Lowest first. */
  readonly layers: readonly SourceLayer[];
  readonly references: readonly string[];
}

/** A layer that is there already and held by the caller. */
export const existingLayer: SourceBlob = {
  compression: "none",
  locate: () => {
    throw new LaminaError("CONFLICT", "A layer was removed while an image was made of it. Try again");
  },
};

/** The images of an archive. */
export interface SourceImages {
  readonly images: readonly SourceImage[];
  readonly warnings: readonly string[];
}

/**
 * Puts a config and the blobs of its layers together.
 *
 * @param blobs Lowest first.
 * @param expected The config's digest, where the archive says so.
 * @throws `INVALID_ARGUMENT` when the numbers of layers and diffIDs differ or there are too many, `DATA_LOSS` when the
 * config's digest differs.
 */
export function makeSourceImage(
  configBytes: Uint8Array<ArrayBuffer>,
  blobs: readonly SourceBlob[],
  references: readonly string[],
  label: string,
  expected?: Digest,
): SourceImage {
  const id = digestOf(configBytes);
  if (expected !== undefined && id !== expected) {
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot import ${label}: the config should be ${expected} but its bytes are ${id}`,
    );
  }
  const config = parseDocument(ImageConfig, configBytes, `config of ${label}`);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== blobs.length) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot import ${label}: it has ${blobs.length} layers but its config names ${diffIds.length} diffIDs`,
      { details: { layers: blobs.length, diff_ids: diffIds.length } },
    );
  }
  if (diffIds.length > MAX_LAYERS) {
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `Cannot import ${label}: it has ${diffIds.length} layers, more than the ${MAX_LAYERS} that can be mounted`,
      { details: { limit: MAX_LAYERS } },
    );
  }
  const chainIds = chainIdsOf(diffIds);
  const layers = blobs.map((blob, i) => ({ diffId: diffIds[i]!, chainId: chainIds[i]!, blob }));
  // Parsed once more: what cannot be written in an index later on is refused now.
  const platform = formatPlatform(parsePlatform(formatPlatform(platformOf(config))));
  return { id, configBytes, config, platform, layers, references };
}

/** The platform of a config; what it leaves out is this machine's. */
export function platformOf(config: ImageConfig): Platform {
  const machine = machinePlatform();
  return {
    os: config.os || machine.os,
    architecture: config.architecture || machine.architecture,
    variant: config.variant,
  };
}
