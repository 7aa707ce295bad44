/** The members of a `docker save` archive. */
import type { Operation } from "../../core/operation.ts";
import type { ExportCompression } from "../../core/specs/image.ts";
import type { ImageRoom } from "../image_room.ts";
import type { ExportedImage } from "./export_images.ts";
import { withLayerBlob } from "./layer_blobs.ts";
import { distinctLayers, json } from "./oci_members.ts";
import type { ArchiveMember } from "./tar_archive.ts";

const suffixes: Readonly<Record<ExportCompression, string>> = { none: "tar", gzip: "tar.gz", zstd: "tar.zst" };

/** Layers, configs, and the manifest that names them. */
export async function* dockerMembers(
  room: ImageRoom,
  images: readonly ExportedImage[],
  compression: ExportCompression,
  operation: Operation,
): AsyncGenerator<ArchiveMember> {
  const layerName = (diffId: string) => `${hex(diffId)}.${suffixes[compression]}`;
  for (const layer of distinctLayers(images)) {
    const members = withLayerBlob(
      room,
      layer,
      compression,
      operation,
      ({ size_bytes, chunks }) => ({ name: layerName(layer.diff_id), content: { size_bytes, chunks } }),
    );
    yield* members;
  }
  for (const { row } of images) yield { name: `${hex(row.id)}.json`, content: row.config };
  const manifest = images.map(({ row, references, layers }) => ({
    Config: `${hex(row.id)}.json`,
    RepoTags: references.length > 0 ? references : null,
    Layers: layers.map(({ diff_id }) => layerName(diff_id)),
  }));
  yield { name: "manifest.json", content: json(manifest) };
}

function hex(digest: string): string {
  return digest.replace(/^sha256:/, "");
}
