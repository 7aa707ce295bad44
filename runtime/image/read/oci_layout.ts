/** Reads an OCI image layout: which images it holds for one platform. */
import { LaminaError } from "../../core/errors.ts";
import { type ArchiveFiles, readDocument } from "../archive/archive_files.ts";
import { parseDocument } from "../json_document.ts";
import { isIndexType } from "../media_types.ts";
import { type Descriptor, ImageIndex, ImageManifest, LayoutFile } from "../oci_schema.ts";
import { formatPlatform, machinePlatform, type Platform, platformFit } from "../platform.ts";
import { referencesFromAnnotations } from "../reference_names.ts";
import { layerBlob, readBlob } from "./oci_blobs.ts";
import { type Candidate, CandidateWalk, leftOut, readConfig } from "./oci_candidates.ts";
import { makeSourceImage, type SourceImage, type SourceImages } from "./source_image.ts";

/** What is looked for in an archive. */
export interface ReadOptions {
  /** Absent: this machine's, and a lone image of another platform is taken with a warning. */
  readonly platform?: Platform;
  /** What bare tags belong to; see {@linkcode referencesFromAnnotations}. */
  readonly baseName?: string;
}

/** Manifests that are the same image for several platforms, or unnamed ones. */
interface Group {
  readonly references: readonly string[];
  /** One image is taken; of unnamed manifests every one that fits best. */
  readonly one: boolean;
  readonly candidates: Candidate[];
}

/**
 * The images of a layout for the wanted platform.
 *
 * @throws `INVALID_ARGUMENT` (malformed, incomplete), `DATA_LOSS` (digest, size), `NOT_FOUND` (nothing for the
 * platform: the message lists what there is), `UNSUPPORTED` (media types).
 */
export async function readOciLayout(files: ArchiveFiles, options: ReadOptions): Promise<SourceImages> {
  const layout = parseDocument(LayoutFile, await readDocument(files, "oci-layout", "layout file"), "oci-layout");
  if (!/^1\./.test(layout.imageLayoutVersion)) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot import ${files.label}: its layout has version ${JSON.stringify(layout.imageLayoutVersion)}, known is 1.x`,
    );
  }
  const index = parseDocument(ImageIndex, await readDocument(files, "index.json", "index"), "index.json");
  const walk = new CandidateWalk(files);
  const groups = await groupManifests(index.manifests, walk, options.baseName);
  const images: SourceImage[] = [];
  const others: string[] = [];
  for (const group of groups) {
    const chosen = choose(group, options.platform);
    others.push(
      ...group.candidates.filter((item) => !chosen.includes(item)).map((item) => formatPlatform(item.platform)),
    );
    for (const { descriptor, platform } of chosen) {
      const image = await readImage(files, descriptor, group.references);
      if (typeof image === "string") {
        walk.warnings.push(image);
        continue;
      }
      if (platformFit(options.platform ?? machinePlatform(), platform) === 0) {
        walk.warnings.push(
          `The image is for ${formatPlatform(platform)}, this machine is ${formatPlatform(machinePlatform())}`,
        );
      }
      images.push(image);
    }
  }
  if (images.length === 0) throw nothingFor(files, options.platform, others, walk.warnings);
  return { images, warnings: walk.warnings };
}

async function groupManifests(
  descriptors: readonly Descriptor[],
  walk: CandidateWalk,
  baseName: string | undefined,
): Promise<Group[]> {
  const groups = new Map<string, Group>();
  for (const [i, descriptor] of descriptors.entries()) {
    const { references, warnings } = referencesFromAnnotations(descriptor.annotations, baseName);
    walk.warnings.push(...warnings);
    const one = references.length > 0 || isIndexType(descriptor.mediaType);
    const key = references.length > 0 ? references.join(" ") : one ? `#${i}` : "";
    const group = groups.get(key) ?? { references, one, candidates: [] };
    group.candidates.push(...await walk.below(descriptor));
    groups.set(key, group);
  }
  return [...groups.values()].filter((group) => group.candidates.length > 0);
}

function choose(group: Group, platform: Platform | undefined): Candidate[] {
  const wanted = platform ?? machinePlatform();
  const rated = group.candidates.map((candidate) => ({ candidate, fit: platformFit(wanted, candidate.platform) }));
  const best = Math.max(0, ...rated.map(({ fit }) => fit));
  const fitting = rated.filter(({ fit }) => fit > 0 && fit === best).map(({ candidate }) => candidate);
  if (fitting.length > 0) return group.one ? fitting.slice(0, 1) : fitting;
  // The caller named no platform and there is no choice: it will know why.
  return platform === undefined && group.candidates.length === 1 ? group.candidates : [];
}

/** The image, or a warning why it is none. */
async function readImage(
  files: ArchiveFiles,
  descriptor: Descriptor,
  references: readonly string[],
): Promise<SourceImage | string> {
  const bytes = await readBlob(files, descriptor, "manifest");
  const manifest = parseDocument(ImageManifest, bytes, `manifest ${descriptor.digest}`);
  const config = await readConfig(files, manifest);
  if (config === undefined) return leftOut(descriptor, manifest);
  const blobs = manifest.layers.map((layer) => layerBlob(files, layer));
  return makeSourceImage(config, blobs, references, files.label, manifest.config.digest);
}

function nothingFor(
  files: ArchiveFiles,
  platform: Platform | undefined,
  others: readonly string[],
  warnings: readonly string[],
): LaminaError {
  if (others.length === 0) {
    const why = warnings.length > 0 ? ` (${warnings.slice(0, 3).join("; ")})` : "";
    return new LaminaError("INVALID_ARGUMENT", `Cannot import ${files.label}: it holds no image${why}`);
  }
  const available = [...new Set(others)].sort();
  return new LaminaError(
    "NOT_FOUND",
    `Cannot import ${files.label}: it holds no image for ${formatPlatform(platform ?? machinePlatform())}, only for ${
      available.join(", ")
    }. Choose one of them with --platform`,
    { details: { available } },
  );
}
