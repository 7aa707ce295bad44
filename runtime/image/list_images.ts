/** Images as the API shows them. */
import type { Image, ImageLayer, ImageSummary } from "../core/specs/image.ts";
import type { Reader } from "../store/store.ts";
import { type ImageRow, layersOf } from "./image_rows.ts";

interface SummaryRow {
  readonly id: string;
  readonly created: string | null;
  readonly imported_at_ms: number;
  readonly platform: string;
  readonly layers: number;
  readonly size_bytes: number;
  readonly unique_bytes: number;
  readonly containers: number;
  readonly reference_list: string;
}

/** One pass over the layers, all or those of one image (`?1`), counts who shares what. */
function summarySql(which: "all" | "one"): string {
  const one = which === "one";
  return `
WITH shares AS (
  SELECT chain_id, COUNT(*) AS images FROM image_layers
  ${one ? "WHERE chain_id IN (SELECT chain_id FROM image_layers WHERE image_id = ?1)" : ""} GROUP BY chain_id
),
sizes AS (
  SELECT image_id, COUNT(*) AS layers, SUM(size_bytes) AS size_bytes,
         SUM(CASE WHEN shares.images = 1 THEN size_bytes ELSE 0 END) AS unique_bytes
  FROM image_layers JOIN layers USING (chain_id) JOIN shares USING (chain_id)
  ${one ? "WHERE image_id = ?1" : ""} GROUP BY image_id
)
SELECT images.id, json_extract(CAST(config AS TEXT), '$.created') AS created, imported_at_ms, platform,
       COALESCE(sizes.layers, 0) AS layers, COALESCE(sizes.size_bytes, 0) AS size_bytes,
       COALESCE(sizes.unique_bytes, 0) AS unique_bytes,
       (SELECT COUNT(*) FROM (SELECT id FROM containers WHERE containers.image_id = images.id
        UNION SELECT container_id FROM container_images WHERE container_images.image_id = images.id)) AS containers,
       (SELECT json_group_array(name ORDER BY name) FROM image_references
        WHERE image_references.image_id = images.id) AS reference_list
FROM images LEFT JOIN sizes ON sizes.image_id = images.id
${one ? "WHERE images.id = ?1" : "ORDER BY imported_at_ms DESC, images.id"}`;
}

const allSql = summarySql("all");
const oneSql = summarySql("one");

/** Every image, the newest import first. */
export function listImages(reader: Reader): ImageSummary[] {
  return reader.all<SummaryRow>(allSql).map(summaryOf);
}

/** One image, whole. */
export function describeImage(reader: Reader, row: ImageRow): Image {
  const summary = summaryOf(reader.get<SummaryRow>(oneSql, row.id)!);
  const config: Record<string, unknown> = JSON.parse(new TextDecoder().decode(row.config));
  return { ...summary, config, layer_list: layerList(reader, row.id, config) };
}

function summaryOf(row: SummaryRow): ImageSummary {
  return {
    id: row.id,
    references: JSON.parse(row.reference_list),
    created_at: isoTime(row.created),
    imported_at: new Date(row.imported_at_ms).toISOString(),
    platform: row.platform,
    layers: row.layers,
    size_bytes: row.size_bytes,
    unique_bytes: row.unique_bytes,
    containers: row.containers,
  };
}

function layerList(reader: Reader, imageId: string, config: Record<string, unknown>): ImageLayer[] {
  const shares = new Map(
    reader.all<{ chain_id: string; images: number }>(
      `SELECT chain_id, COUNT(*) AS images FROM image_layers
       WHERE chain_id IN (SELECT chain_id FROM image_layers WHERE image_id = ?) GROUP BY chain_id`,
      imageId,
    ).map(({ chain_id, images }) => [chain_id, images]),
  );
  const commands = layerCommands(config.history);
  return layersOf(reader, imageId).map((layer, i) => ({
    chain_id: layer.chain_id,
    diff_id: layer.diff_id,
    size_bytes: layer.size_bytes,
    tar_bytes: layer.tar_bytes,
    created_by: commands[i],
    shared_by: shares.get(layer.chain_id) ?? 1,
  }));
}

/** What made each layer: the steps of a history that have one, in order. */
export function layerCommands(history: unknown): (string | undefined)[] {
  if (!Array.isArray(history)) return [];
  return history.filter((step) => step?.empty_layer !== true).map((step) => {
    const command = step?.created_by;
    return typeof command === "string" && command !== "" ? command : undefined;
  });
}

/** A time in the form of our API: milliseconds, UTC. What cannot be read is left out. */
function isoTime(text: string | null): string | undefined {
  const time = new Date(text ?? Number.NaN);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}
