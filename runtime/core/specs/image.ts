/** Images as the API and the command line see them. */
import * as z from "zod";

/** One layer of an image. */
export const ImageLayer = z.object({
  chain_id: z.string(),
  diff_id: z.string(),
  size_bytes: z.int().describe("On disk"),
  tar_bytes: z.int().describe("Uncompressed archive"),
  created_by: z.string().optional().describe("From the image's history"),
  shared_by: z.int().describe("Number of images that have this layer"),
}).meta({ id: "ImageLayer" });
/** See the schema of the same name. */
export type ImageLayer = z.infer<typeof ImageLayer>;

/** A line of `image ls`. */
export const ImageSummary = z.object({
  id: z.string().describe("Digest of the config"),
  references: z.array(z.string()),
  created_at: z.iso.datetime().optional().describe("As the config says"),
  imported_at: z.iso.datetime(),
  platform: z.string().describe("os/architecture[/variant]"),
  layers: z.int(),
  size_bytes: z.int().describe("On disk, all layers"),
  unique_bytes: z.int().describe("On disk, layers that no other image has"),
  containers: z.int().describe("How many containers use it"),
}).meta({ id: "ImageSummary" });
/** See the schema of the same name. */
export type ImageSummary = z.infer<typeof ImageSummary>;

/** An image, whole. `GET /v1/images/{image}`. */
export const Image = ImageSummary.extend({
  config: z.record(z.string(), z.unknown()).describe("The image config as imported"),
  layer_list: z.array(ImageLayer),
}).meta({ id: "Image" });
/** See the schema of the same name. */
export type Image = z.infer<typeof Image>;

/** Result of an import: one entry per image of the source. */
export const ImportResult = z.object({
  images: z.array(z.object({
    id: z.string(),
    references: z.array(z.string()),
    layers_total: z.int(),
    layers_unpacked: z.int(),
    layers_shared: z.int(),
    already_present: z.boolean().describe("Nothing had to be done"),
  })),
  warnings: z.array(z.string()),
}).meta({ id: "ImportResult" });
/** See the schema of the same name. */
export type ImportResult = z.infer<typeof ImportResult>;

/** How an image is exported. */
export const ExportFormat = z.enum(["oci", "docker"]).meta({ id: "ExportFormat" });
/** See the schema of the same name. */
export type ExportFormat = z.infer<typeof ExportFormat>;

/** Compression of exported layers. The uncompressed bytes are the same in each case. */
export const ExportCompression = z.enum(["none", "gzip", "zstd"]).meta({ id: "ExportCompression" });
/** See the schema of the same name. */
export type ExportCompression = z.infer<typeof ExportCompression>;

/** Result of a removal or prune. */
export const RemovalResult = z.object({
  untagged: z.array(z.string()),
  deleted: z.array(z.string()).describe("Ids of images, containers or volumes, chainIDs of layers"),
  reclaimed_bytes: z.int(),
}).meta({ id: "RemovalResult" });
/** See the schema of the same name. */
export type RemovalResult = z.infer<typeof RemovalResult>;
