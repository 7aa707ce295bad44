/** The members of an OCI layout. Layers first, because the index can only name what is known. */
import type { Operation } from "../../core/operation.ts";
import type { ExportCompression } from "../../core/specs/image.ts";
import { digestOf } from "../chain_id.ts";
import type { ImageRoom } from "../image_room.ts";
import type { LayerRow } from "../image_rows.ts";
import { layerMediaType, MEDIA_TYPES } from "../media_types.ts";
import { parsePlatform } from "../platform.ts";
import type { ExportedImage } from "./export_images.ts";
import { withLayerBlob } from "./layer_blobs.ts";
import type { ArchiveMember } from "./tar_archive.ts";

interface DescriptorOut {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: object;
}

/** See the head of the file. */
export async function* ociMembers(
  room: ImageRoom,
  images: readonly ExportedImage[],
  compression: ExportCompression,
  operation: Operation,
): AsyncGenerator<ArchiveMember> {
  yield { name: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) };
  yield { name: "blobs/", content: new Uint8Array() };
  yield { name: "blobs/sha256/", content: new Uint8Array() };
  const written = new Set<string>();
  const layers = new Map<string, DescriptorOut>();
  for (const layer of distinctLayers(images)) {
    const members = withLayerBlob(room, layer, compression, operation, ({ digest, size_bytes, chunks }) => {
      layers.set(layer.diff_id, { mediaType: layerMediaType(compression), digest, size: size_bytes });
      written.add(digest);
      return { name: blobName(digest), content: { size_bytes, chunks } };
    });
    yield* members;
  }
  const manifests: DescriptorOut[] = [];
  for (const image of images) {
    const config = { mediaType: MEDIA_TYPES.config, digest: image.row.id, size: image.row.config.length };
    const manifest = json({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config,
      layers: image.layers.map(({ diff_id }) => layers.get(diff_id)!),
    });
    const descriptor = {
      mediaType: MEDIA_TYPES.manifest,
      digest: digestOf(manifest),
      size: manifest.length,
      platform: parsePlatform(image.row.platform),
    };
    for (const [digest, content] of [[config.digest, image.row.config], [descriptor.digest, manifest]] as const) {
      if (!written.has(digest)) yield { name: blobName(digest), content };
      written.add(digest);
    }
    manifests.push(...named(descriptor, image.references));
  }
  yield { name: "index.json", content: json({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests }) };
}

/** The layers of several images, each diffID once, lowest first. */
export function distinctLayers(images: readonly ExportedImage[]): LayerRow[] {
  const layers = new Map<string, LayerRow>();
  for (const image of images) {
    for (const layer of image.layers) layers.set(layer.diff_id, layers.get(layer.diff_id) ?? layer);
  }
  return [...layers.values()];
}

/** One descriptor a name, as the specification has it; both annotations, because readers differ in which they read. */
function named(descriptor: DescriptorOut, references: readonly string[]): DescriptorOut[] {
  if (references.length === 0) return [descriptor];
  return references.map((reference) => ({
    ...descriptor,
    annotations: { "io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference },
  }));
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** Bytes of a document. */
export function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
