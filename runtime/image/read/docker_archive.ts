/** Reads a `docker save` archive with `manifest.json`. */
import { basename } from "@std/path/posix";
import { LaminaError } from "../../core/errors.ts";
import { type Digest, isDigest } from "../../core/ids.ts";
import { type ArchiveFiles, archivePath, missing, readDocument } from "../archive/archive_files.ts";
import { DockerManifest } from "../docker_schema.ts";
import { parseDocument } from "../json_document.ts";
import { formatPlatform, machinePlatform, parsePlatform, type Platform, platformFit } from "../platform.ts";
import { usableReferences } from "../reference_names.ts";
import { makeSourceImage, type SourceBlob, type SourceImage, type SourceImages } from "./source_image.ts";

/**
 * The images of a Docker archive, those of another platform left out when the caller named one.
 *
 * @throws as `readOciLayout`.
 */
export async function readDockerArchive(
  files: ArchiveFiles,
  options: { readonly platform?: Platform },
): Promise<SourceImages> {
  const manifest = await readManifest(files);
  const warnings: string[] = [];
  const images: SourceImage[] = [];
  for (const entry of manifest) {
    const configPath = memberPath(files, entry.Config);
    const config = await readDocument(files, configPath, "config");
    const names = usableReferences(entry.RepoTags);
    warnings.push(...names.warnings);
    const blobs = entry.Layers.map((path) => dockerLayer(files, memberPath(files, path)));
    images.push(makeSourceImage(config, blobs, names.references, files.label, digestInName(configPath)));
  }
  return forPlatform(images, options.platform, files.label, warnings);
}

/** The names that `manifest.json` gives to configs; empty where there is none that can be read as one. */
export async function dockerNames(files: ArchiveFiles): Promise<Map<Digest, readonly string[]>> {
  const names = new Map<Digest, readonly string[]>();
  if (await files.find("manifest.json") === undefined) return names;
  for (const entry of await readManifest(files)) {
    const id = digestInName(entry.Config);
    const { references } = usableReferences(entry.RepoTags);
    if (id !== undefined && references.length > 0) names.set(id, references);
  }
  return names;
}

/**
 * Leaves out what does not run on `platform`; without one everything is taken, with a warning where it does not run here.
 *
 * @throws `NOT_FOUND` when nothing is left.
 */
export function forPlatform(
  images: readonly SourceImage[],
  platform: Platform | undefined,
  label: string,
  warnings: readonly string[],
): SourceImages {
  if (platform === undefined) {
    const machine = machinePlatform();
    const foreign = images.filter((image) => platformFit(machine, parsePlatform(image.platform)) === 0);
    const notes = foreign.map((image) =>
      `The image is for ${image.platform}, this machine is ${formatPlatform(machine)}`
    );
    return { images, warnings: [...warnings, ...notes] };
  }
  const fitting = images.filter((image) => platformFit(platform, parsePlatform(image.platform)) > 0);
  if (fitting.length > 0) return { images: fitting, warnings };
  const available = [...new Set(images.map((image) => image.platform))].sort();
  throw new LaminaError(
    "NOT_FOUND",
    `Cannot import ${label}: it holds no image for ${formatPlatform(platform)}, only for ${available.join(", ")}`,
    { details: { available } },
  );
}

/** A layer by its path in the archive; the config's diffID is what it must hash to. */
export function dockerLayer(files: ArchiveFiles, path: string): SourceBlob {
  return {
    compression: "auto",
    locate: async () => {
      const range = await files.find(path);
      if (range === undefined) throw missing(files, path, "layer");
      return range;
    },
  };
}

async function readManifest(files: ArchiveFiles): Promise<DockerManifest> {
  return parseDocument(DockerManifest, await readDocument(files, "manifest.json", "manifest"), "manifest.json");
}

function memberPath(files: ArchiveFiles, name: string): string {
  const path = archivePath(name);
  if (path !== undefined) return path;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot import ${files.label}: its manifest.json names ${JSON.stringify(name.slice(0, 80))}, which leads out of it`,
  );
}

/** Archives call a config by its digest: `HEX.json`, `sha256:HEX`, `blobs/sha256/HEX`. */
function digestInName(path: string): Digest | undefined {
  const digest = `sha256:${basename(path).replace(/^sha256:/, "").replace(/\.json$/, "")}`;
  return isDigest(digest) ? digest : undefined;
}
