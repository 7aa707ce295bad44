/**
 * Reads a `docker save` archive of the time before `manifest.json`: a directory per layer with `json` and `layer.tar`,
 * and `repositories` with the names. A layer knows its parent; the config has to be put together from them.
 */
import { LaminaError } from "../../core/errors.ts";
import type { Digest } from "../../core/ids.ts";
import { type ArchiveFiles, missing, readDocument } from "../archive/archive_files.ts";
import { uncompressedDigest } from "../archive/uncompressed.ts";
import { DockerLegacyLayer, DockerRepositories } from "../docker_schema.ts";
import { parseDocument } from "../json_document.ts";
import { MAX_LAYERS } from "../oci_schema.ts";
import { machinePlatform, type Platform } from "../platform.ts";
import { usableReferences } from "../reference_names.ts";
import { dockerLayer, forPlatform } from "./docker_archive.ts";
import { makeSourceImage, type SourceImage, type SourceImages } from "./source_image.ts";

const layerIdPattern = /^[0-9a-f]{64}$/;

/**
 * The images of an old archive. Reads every layer once, since nothing in it says their diffIDs.
 *
 * @throws as `readOciLayout`; the signal's reason.
 */
export async function readLegacyDockerArchive(
  files: ArchiveFiles,
  options: { readonly platform?: Platform },
  signal: AbortSignal,
): Promise<SourceImages> {
  const layers = new LegacyLayers(files, signal);
  const { tops, warnings } = await topLayers(files, layers);
  const images: SourceImage[] = [];
  for (const [id, references] of tops) images.push(await assemble(files, layers, id, references));
  return forPlatform(images, options.platform, files.label, warnings);
}

/** Whether the names at an archive's top are those of this format. */
export function looksLikeLegacyDocker(topNames: readonly string[]): boolean {
  return topNames.some((name) => layerIdPattern.test(name)) &&
    topNames.every((name) => name === "repositories" || layerIdPattern.test(name));
}

/** Ids of the layers that are images, with their names. */
async function topLayers(
  files: ArchiveFiles,
  layers: LegacyLayers,
): Promise<{ tops: Map<string, readonly string[]>; warnings: readonly string[] }> {
  const named = new Map<string, string[]>();
  if (await files.find("repositories") !== undefined) {
    const bytes = await readDocument(files, "repositories", "repositories file");
    for (const [repository, tags] of Object.entries(parseDocument(DockerRepositories, bytes, "repositories file"))) {
      for (const [tag, id] of Object.entries(tags)) named.set(id, [...named.get(id) ?? [], `${repository}:${tag}`]);
    }
  }
  const tops = new Map<string, readonly string[]>();
  const warnings: string[] = [];
  for (const [id, names] of named) {
    const usable = usableReferences(names);
    tops.set(id, usable.references);
    warnings.push(...usable.warnings);
  }
  if (tops.size > 0) return { tops, warnings };
  // Saved by id: the images are the layers that are nobody's parent.
  const ids = (await files.topNames()).filter((name) => layerIdPattern.test(name));
  const parents = new Set<string | undefined>();
  for (const id of ids) parents.add((await layers.read(id)).parent);
  for (const id of ids) if (!parents.has(id)) tops.set(id, []);
  return { tops, warnings };
}

async function assemble(
  files: ArchiveFiles,
  layers: LegacyLayers,
  top: string,
  references: readonly string[],
): Promise<SourceImage> {
  const chain: DockerLegacyLayer[] = [];
  for (let id: string | undefined = top; id !== undefined; id = chain[0]!.parent) {
    chain.unshift(await layers.read(id));
    if (chain.length > MAX_LAYERS) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot import ${files.label}: the parents of layer ${
          top.slice(0, 12)
        } never end or are more than ${MAX_LAYERS}`,
      );
    }
  }
  const diffIds: Digest[] = [];
  for (const layer of chain) diffIds.push(await layers.diffId(layer.id));
  const blobs = chain.map((layer) => dockerLayer(files, layerPath(layer.id)));
  return makeSourceImage(configOf(chain, diffIds), blobs, references, files.label);
}

/** The config that newer versions of Docker would have made: the top layer's fields with rootfs and history. */
function configOf(chain: readonly DockerLegacyLayer[], diffIds: readonly Digest[]): Uint8Array<ArrayBuffer> {
  const { id: _, parent: __, throwaway: ___, Size: ____, layer_id: _____, parent_id: ______, ...top } = chain.at(-1)!;
  const machine = machinePlatform();
  return new TextEncoder().encode(JSON.stringify({
    ...top,
    architecture: top.architecture ?? machine.architecture,
    os: top.os ?? machine.os,
    rootfs: { type: "layers", diff_ids: diffIds },
    history: chain.map((layer) => ({
      created: layer.created,
      author: layer.author,
      created_by: layer.container_config?.Cmd.join(" ") || undefined,
      comment: layer.comment,
    })),
  }));
}

function layerPath(id: string): string {
  return `${id}/layer.tar`;
}

/** The layers of an archive, each read and hashed at most once. */
class LegacyLayers {
  readonly #documents = new Map<string, DockerLegacyLayer>();
  readonly #diffIds = new Map<string, Digest>();

  constructor(readonly files: ArchiveFiles, readonly signal: AbortSignal) {}

  async read(id: string): Promise<DockerLegacyLayer> {
    let layer = this.#documents.get(id);
    if (layer === undefined) {
      const bytes = await readDocument(this.files, `${id}/json`, "layer's json");
      layer = parseDocument(DockerLegacyLayer, bytes, `json of layer ${id.slice(0, 12)}`);
      if (layer.id !== id) {
        throw new LaminaError(
          "INVALID_ARGUMENT",
          `Cannot import ${this.files.label}: ${id}/json is that of ${layer.id}`,
        );
      }
      this.#documents.set(id, layer);
    }
    return layer;
  }

  async diffId(id: string): Promise<Digest> {
    let diffId = this.#diffIds.get(id);
    if (diffId === undefined) {
      const range = await this.files.find(layerPath(id));
      if (range === undefined) throw missing(this.files, layerPath(id), "layer");
      diffId = await uncompressedDigest(range, `layer ${id.slice(0, 12)}`, this.signal);
      this.#diffIds.set(id, diffId);
    }
    return diffId;
  }
}
