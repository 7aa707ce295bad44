/** Documents of the OCI image specification, and Docker's schema 2, which has the same shapes. Unknown fields stay out. */
import * as z from "zod";
import { Digest } from "../core/ids.ts";
import { goArray, goMap, optionalText } from "./json_document.ts";

/** Layers an image may have: the kernel's limit for overlay mounts. */
export const MAX_LAYERS = 500;
/** Manifests that one index may name. */
const MAX_MANIFESTS = 1000;

const mediaType = z.string().max(255).nullish().transform((text) => text ?? "");

/** `platform` of a descriptor. */
const PlatformField = z.object({
  os: z.string().max(64).nullish().transform((text) => text ?? ""),
  architecture: z.string().max(64).nullish().transform((text) => text ?? ""),
  variant: optionalText,
});

/** A reference to content by digest and size. */
export const Descriptor = z.object({
  mediaType,
  digest: Digest,
  size: z.int().min(0),
  annotations: goMap(z.string()),
  platform: PlatformField.nullish(),
  artifactType: optionalText,
});
/** See the schema of the same name. */
export type Descriptor = z.infer<typeof Descriptor>;

/** `oci-layout`. */
export const LayoutFile = z.object({ imageLayoutVersion: z.string().max(64) });

/** An index (manifest list): images of several platforms, or all images of a layout. */
export const ImageIndex = z.object({
  schemaVersion: z.literal(2, "only schemaVersion 2 is known"),
  mediaType,
  manifests: goArray(Descriptor, MAX_MANIFESTS),
  annotations: goMap(z.string()),
});
/** See the schema of the same name. */
export type ImageIndex = z.infer<typeof ImageIndex>;

/** A manifest: one config and its layers, lowest first. */
export const ImageManifest = z.object({
  schemaVersion: z.literal(2, "only schemaVersion 2 is known: convert older images with skopeo copy"),
  mediaType,
  artifactType: optionalText,
  config: Descriptor,
  layers: goArray(Descriptor, 2 * MAX_LAYERS),
  annotations: goMap(z.string()),
});
/** See the schema of the same name. */
export type ImageManifest = z.infer<typeof ImageManifest>;

/** What tells an index from a manifest where no media type does. */
export const AnyManifest = z.object({
  mediaType,
  manifests: z.unknown().optional(),
  layers: z.unknown().optional(),
  config: z.unknown().optional(),
});

/** One step of how an image was made. */
export const HistoryEntry = z.object({
  created: optionalText,
  created_by: optionalText,
  author: optionalText,
  comment: optionalText,
  empty_layer: z.boolean().nullish().transform((empty) => empty ?? false),
});
/** See the schema of the same name. */
export type HistoryEntry = z.infer<typeof HistoryEntry>;

/** The parts of an image config that Lamina looks at. The bytes are kept as they are. */
export const ImageConfig = z.object({
  architecture: z.string().max(64).nullish().transform((text) => text ?? ""),
  os: z.string().max(64).nullish().transform((text) => text ?? ""),
  variant: optionalText,
  created: optionalText,
  author: optionalText,
  rootfs: z.object({
    type: z.literal("layers", 'the only known rootfs type is "layers"'),
    diff_ids: goArray(Digest, 2 * MAX_LAYERS),
  }),
  history: goArray(HistoryEntry, 100_000),
});
/** See the schema of the same name. */
export type ImageConfig = z.infer<typeof ImageConfig>;
