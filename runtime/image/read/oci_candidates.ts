/** Walks the indexes of an OCI layout down to the manifests that could be imported. */
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import type { ArchiveFiles } from "../archive/archive_files.ts";
import { MAX_DOCUMENT_BYTES, parseDocument } from "../json_document.ts";
import { isImageConfigType, isIndexType, isManifestType } from "../media_types.ts";
import { AnyManifest, type Descriptor, ImageConfig, ImageIndex, ImageManifest } from "../oci_schema.ts";
import { normalizePlatform, type Platform } from "../platform.ts";
import { readBlob } from "./oci_blobs.ts";
import { platformOf } from "./source_image.ts";

/** A manifest that may be read, and where it runs. */
export interface Candidate {
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

/** Indexes within indexes. */
const MAX_DEPTH = 5;
/** Documents that one import reads, however the indexes are knotted. */
const MAX_DOCUMENTS = 5000;

/** Reads indexes and, where an index does not say the platform, manifests and configs. One walk per import. */
export class CandidateWalk {
  readonly warnings: string[] = [];
  #documents = 0;

  constructor(readonly files: ArchiveFiles) {}

  /** The images below a descriptor; of what is no image a warning is kept. */
  async below(descriptor: Descriptor, depth = 0): Promise<Candidate[]> {
    if (depth > MAX_DEPTH) {
      throw new LaminaError(
        "RESOURCE_EXHAUSTED",
        `Cannot import ${this.files.label}: its indexes are nested more than ${MAX_DEPTH} deep`,
      );
    }
    if (isAttestation(descriptor)) return [];
    const { mediaType } = descriptor;
    if (isManifestType(mediaType)) return await this.#manifest(descriptor);
    if (isIndexType(mediaType)) return await this.#index(descriptor, depth);
    if (mediaType === "") {
      const { manifests } = parseDocument(AnyManifest, await this.#read(descriptor, "manifest"), "manifest");
      return manifests === undefined ? await this.#manifest(descriptor) : await this.#index(descriptor, depth);
    }
    this.warnings.push(`Left out ${descriptor.digest}: it is no image but ${JSON.stringify(mediaType)}`);
    return [];
  }

  async #index(descriptor: Descriptor, depth: number): Promise<Candidate[]> {
    const bytes = await this.#read(descriptor, "index");
    const index = parseDocument(ImageIndex, bytes, `index ${descriptor.digest}`);
    const found: Candidate[] = [];
    for (const child of index.manifests) found.push(...await this.below(child, depth + 1));
    return found;
  }

  async #manifest(descriptor: Descriptor): Promise<Candidate[]> {
    const { platform } = descriptor;
    if (platform?.os && platform.architecture) {
      return [{ descriptor, platform: normalizePlatform(platform) }];
    }
    const bytes = await this.#read(descriptor, "manifest");
    const manifest = parseDocument(ImageManifest, bytes, `manifest ${descriptor.digest}`);
    this.#count();
    const config = await readConfig(this.files, manifest);
    if (config === undefined) {
      this.warnings.push(leftOut(descriptor, manifest));
      return [];
    }
    const { digest } = manifest.config;
    return [{ descriptor, platform: platformOf(parseDocument(ImageConfig, config, `config ${digest}`)) }];
  }

  async #read(descriptor: Descriptor, what: string): Promise<Uint8Array<ArrayBuffer>> {
    this.#count();
    return await readBlob(this.files, descriptor, what);
  }

  #count(): void {
    if (++this.#documents <= MAX_DOCUMENTS) return;
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `Cannot import ${this.files.label}: its indexes name more than ${MAX_DOCUMENTS} documents`,
    );
  }
}

/**
 * The config of a manifest; `undefined` when the manifest is no container image but another artifact. A config of an
 * unknown media type is one of an image if it reads like one.
 *
 * @throws as `readBlob`, for a config of a known type.
 */
export async function readConfig(
  files: ArchiveFiles,
  { config }: ImageManifest,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (isImageConfigType(config.mediaType)) return await readBlob(files, config, "config");
  if (config.size > MAX_DOCUMENT_BYTES) return undefined;
  try {
    const bytes = await readBlob(files, config, "config");
    parseDocument(ImageConfig, bytes, "config");
    return bytes;
  } catch (error) {
    if (isLaminaError(error)) return undefined;
    throw error;
  }
}

/** The warning for a manifest that is no container image. */
export function leftOut(descriptor: Descriptor, { config, artifactType }: ImageManifest): string {
  const what = JSON.stringify(artifactType ?? config.mediaType);
  return `Left out ${descriptor.digest}: it is no container image but ${what}`;
}

/** What buildkit puts beside images: signatures of how they were built, for no platform. */
function isAttestation(descriptor: Descriptor): boolean {
  return descriptor.annotations["vnd.docker.reference.type"] !== undefined ||
    (descriptor.platform?.os === "unknown" && descriptor.platform.architecture === "unknown");
}
