/** Images, their layers and references in the store. Every SQL statement of this room that reads or writes one row. */
import { LaminaError } from "../core/errors.ts";
import type { Digest, SnapshotKey } from "../core/ids.ts";
import type { Reader, Transaction } from "../store/store.ts";

/** A row of `images`. */
export interface ImageRow {
  readonly id: Digest;
  /** Exact bytes of the config. */
  readonly config: Uint8Array<ArrayBuffer>;
  readonly top_layer: SnapshotKey | null;
  readonly platform: string;
  readonly imported_at_ms: number;
}

/** A row of `layers`. */
export interface LayerRow {
  readonly chain_id: SnapshotKey;
  readonly diff_id: Digest;
  readonly parent: SnapshotKey | null;
  readonly tar_bytes: number;
  readonly entries: number;
  /** On disk. */
  readonly size_bytes: number;
  readonly inodes: number;
}

/** The image of that id. */
export function findImage(reader: Reader, id: string): ImageRow | undefined {
  return reader.get<ImageRow>("SELECT * FROM images WHERE id = ?", id);
}

/** The layer of that chainID. */
export function findLayer(reader: Reader, chainId: string): LayerRow | undefined {
  return reader.get<LayerRow>("SELECT * FROM layers WHERE chain_id = ?", chainId);
}

/** The layers of an image, lowest first. */
export function layersOf(reader: Reader, imageId: string): LayerRow[] {
  return reader.all<LayerRow>(
    "SELECT layers.* FROM image_layers JOIN layers USING (chain_id) WHERE image_id = ? ORDER BY position",
    imageId,
  );
}

/** The references of an image, sorted. */
export function referencesOf(reader: Reader, imageId: string): string[] {
  return reader.all<{ name: string }>("SELECT name FROM image_references WHERE image_id = ? ORDER BY name", imageId)
    .map(({ name }) => name);
}

/** Names of the containers that use an image, as their own or as a mount, sorted; at most 20. */
export function containersUsing(reader: Reader, imageId: string): string[] {
  return reader.all<{ name: string }>(
    `SELECT name FROM containers WHERE image_id = ?1
     UNION SELECT name FROM containers JOIN container_images ON container_id = id
     WHERE container_images.image_id = ?1 ORDER BY name LIMIT 20`,
    imageId,
  ).map(({ name }) => name);
}

/** Notes a layer whose snapshot is committed and whose recipe is there. */
export function insertLayer(tx: Transaction, layer: LayerRow): void {
  tx.run(
    `INSERT INTO layers (chain_id, diff_id, parent, tar_bytes, entries, size_bytes, inodes, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    layer.chain_id,
    layer.diff_id,
    layer.parent,
    layer.tar_bytes,
    layer.entries,
    layer.size_bytes,
    layer.inodes,
    Date.now(),
  );
}

/** Notes an image whose layers are all there. */
export function insertImage(
  tx: Transaction,
  image: Omit<ImageRow, "imported_at_ms" | "top_layer">,
  layers: readonly SnapshotKey[],
): void {
  tx.run(
    "INSERT INTO images (id, config, top_layer, platform, imported_at_ms) VALUES (?, ?, ?, ?, ?)",
    image.id,
    image.config,
    layers.at(-1) ?? null,
    image.platform,
    Date.now(),
  );
  for (const [position, chainId] of layers.entries()) {
    tx.run("INSERT INTO image_layers (image_id, position, chain_id) VALUES (?, ?, ?)", image.id, position, chainId);
  }
}

/** Points a reference at an image; what it pointed at before loses it. Whether anything changed. */
export function setReference(tx: Transaction, name: string, imageId: string): boolean {
  const before = tx.get<{ image_id: string }>("SELECT image_id FROM image_references WHERE name = ?", name);
  if (before?.image_id === imageId) return false;
  if (findImage(tx, imageId) === undefined) {
    throw new LaminaError("NOT_FOUND", `Cannot tag ${imageId} as ${name}: the image does not exist any more`);
  }
  tx.run(
    "INSERT INTO image_references (name, image_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id",
    name,
    imageId,
  );
  return true;
}
