/** Which media types are what. */
import type { Compression } from "../../drivers/storage/layer/types.ts";

/** Media types that Lamina writes. */
export const MEDIA_TYPES = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

const indexTypes = new Set<string>([
  MEDIA_TYPES.index,
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const manifestTypes = new Set<string>([
  MEDIA_TYPES.manifest,
  "application/vnd.docker.distribution.manifest.v2+json",
]);
const configTypes = new Set<string>([
  MEDIA_TYPES.config,
  "application/vnd.docker.container.image.v1+json",
  // Seen from old tools; the content decides.
  "application/octet-stream",
  "application/json",
  "",
]);
const layerPattern = new RegExp(
  "^application/vnd\\.(?:" +
    "oci\\.image\\.layer\\.(?:nondistributable\\.)?v1\\.tar(?:\\+(?<oci>gzip|zstd))?|" +
    "docker\\.image\\.rootfs\\.(?:foreign\\.)?diff\\.tar(?:\\.(?<docker>gzip|zstd))?)$",
);

/** Whether it names an index. */
export function isIndexType(mediaType: string): boolean {
  return indexTypes.has(mediaType);
}

/** Whether it names a manifest of one image. */
export function isManifestType(mediaType: string): boolean {
  return manifestTypes.has(mediaType);
}

/** Whether a manifest whose config is of this type is a container image, and no other artifact. */
export function isImageConfigType(mediaType: string): boolean {
  return configTypes.has(mediaType);
}

/** Whether it is a layer that is not to be pushed to registries. */
export function isNondistributable(mediaType: string): boolean {
  return /\.nondistributable\.|\.foreign\./.test(mediaType) && layerPattern.test(mediaType);
}

/**
 * How a layer of this media type is compressed; `undefined` for an unknown type. Docker's plain and gzip types are
 * both seen on the other's bytes: for them the bytes decide.
 */
export function layerCompression(mediaType: string): Compression | undefined {
  const match = layerPattern.exec(mediaType);
  if (match === null) return undefined;
  if (match.groups!.oci === "zstd" || match.groups!.docker === "zstd") return "zstd";
  return "auto";
}

/** Media type of a layer that Lamina writes. */
export function layerMediaType(compression: "none" | "gzip" | "zstd"): string {
  return compression === "none" ? MEDIA_TYPES.layer : `${MEDIA_TYPES.layer}+${compression}`;
}
