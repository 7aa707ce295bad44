/** What the layer engine is given and what it gives back. All of it can cross a worker boundary. */
import type { Digest } from "../../../runtime/core/ids.ts";

/** Compression of a blob; `auto` looks at the first bytes. */
export type Compression = "auto" | "none" | "gzip" | "zstd";

/** Bytes in a file: a whole blob, or a part of an archive that holds many. */
export interface FileRange {
  /** Absolute path. */
  readonly path: string;
  readonly offset_bytes: number;
  readonly length_bytes: number;
}

/**
 * A layer to apply: a blob on disk or a stream of its bytes.
 * `digest`, `diffId`: what the bytes must hash to; absent where nobody has said so.
 */
export interface LayerBlob {
  readonly source: FileRange | TarStream;
  readonly compression: Compression;
  /** Of the bytes as stored. */
  readonly digest?: Digest;
  /** Of the uncompressed tar. */
  readonly diffId?: Digest;
}

/** Limits of one layer. Reaching one is `RESOURCE_EXHAUSTED`; nothing is left behind. */
export interface LayerLimits {
  /** Uncompressed bytes of the archive. */
  readonly maxTar_bytes: number;
  /** Bytes that the files may take in all, holes included. */
  readonly maxContent_bytes: number;
  /** Files, directories, links and whiteouts of the archive. */
  readonly maxEntries: number;
  /** One pax header, all of its records. */
  readonly maxPax_bytes: number;
  /** A name or link target. */
  readonly maxPath_bytes: number;
}

/** Limits that hold unless the configuration says otherwise. */
export const DEFAULT_LAYER_LIMITS: LayerLimits = {
  maxTar_bytes: 64 * 2 ** 30,
  maxContent_bytes: 64 * 2 ** 30,
  maxEntries: 4_000_000,
  maxPax_bytes: 1 << 20,
  maxPath_bytes: 4096,
};

/** What became of an applied layer. */
export interface AppliedLayer {
  readonly diffId: Digest;
  /** Digest of the blob as stored; equals `diffId` when not compressed. */
  readonly digest: Digest;
  /** Uncompressed bytes of the archive. */
  readonly tar_bytes: number;
  readonly entries: number;
  /** On disk. */
  readonly size_bytes: number;
  readonly inodes: number;
  /** For people: device nodes skipped without CAP_MKNOD, sockets skipped, … At most 100. */
  readonly warnings: readonly string[];
}

/** One path that differs from the parent. */
export interface Change {
  /** Absolute inside the tree, as `displayName` shows it. */
  readonly path: string;
  readonly kind: "added" | "modified" | "deleted";
}

/** A tar archive as it is made. Cancelling the stream stops the work behind it. */
export type TarStream = ReadableStream<Uint8Array<ArrayBuffer>>;
