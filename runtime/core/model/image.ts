/** Images as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

/** One layer of an image. */
export interface ImageLayer {
  /** Names the layer together with all below it. */
  chain_id: string;
  /** Digest of the layer's uncompressed archive. */
  diff_id: string;
  /** On disk. */
  size_bytes: number;
  /** Of the uncompressed archive. */
  tar_bytes: number;
  /** From the image's history. */
  created_by?: string;
  /** How many images have it. */
  shared_by: number;
}

/** An image in a list. */
export interface ImageSummary {
  /** Digest of the config. */
  id: string;
  /** `name:tag` of each. */
  references: string[];
  /** ISO 8601, UTC; as the config says. */
  created_at?: string;
  /** ISO 8601, UTC. */
  imported_at: string;
  /** `os/architecture[/variant]`. */
  platform: string;
  /** How many. */
  layers: number;
  /** On disk, all layers. */
  size_bytes: number;
  /** On disk, layers that no other image has. */
  unique_bytes: number;
  /** How many containers use it. */
  containers: number;
}

/** An image, whole. */
export interface Image extends ImageSummary {
  /** The image config as imported. */
  config: Record<string, unknown>;
  /** Lowest first. */
  layer_list: ImageLayer[];
}

/** What became of one image of an import. */
export interface ImportedImage {
  /** Digest of the config. */
  id: string;
  /** Those that it was given. */
  references: string[];
  /** How many layers it has. */
  layers_total: number;
  /** Those that were unpacked for it. */
  layers_unpacked: number;
  /** Those that were there. */
  layers_shared: number;
  /** Nothing had to be done. */
  already_present: boolean;
}

/** Result of an import. */
export interface ImportResult {
  /** One entry per image of the source. */
  images: ImportedImage[];
  /** For people: what was skipped. */
  warnings: string[];
}

/** Which archive an export makes. */
export type ExportFormat = "oci" | "docker";

/** Compression of exported layers. The uncompressed bytes are the same in each case. */
export type ExportCompression = "none" | "gzip" | "zstd";

/** Result of a removal or prune. */
export interface RemovalResult {
  /** References that are gone. */
  untagged: string[];
  /** Ids of images, containers or volumes, chainIDs of layers. */
  deleted: string[];
  /** On disk, as far as it is known. */
  reclaimed_bytes: number;
}
