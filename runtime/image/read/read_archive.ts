/** Reads an archive of any kind: what it is, its own documents say. */
import { LaminaError } from "../../core/errors.ts";
import type { ArchiveFiles } from "../archive/archive_files.ts";
import { dockerNames, readDockerArchive } from "./docker_archive.ts";
import { looksLikeLegacyDocker, readLegacyDockerArchive } from "./docker_legacy.ts";
import { readOciLayout, type ReadOptions } from "./oci_layout.ts";
import type { SourceImages } from "./source_image.ts";

/** Files of which every image archive but the oldest has one. */
const MARKERS = ["oci-layout", "manifest.json", "repositories"];

/** Whether there is a document that says which images there are. */
export async function isImageArchive(files: ArchiveFiles): Promise<boolean> {
  const names = await files.topNames();
  return MARKERS.some((marker) => names.includes(marker)) || looksLikeLegacyDocker(names);
}

/**
 * The images of an archive.
 *
 * @throws as `readOciLayout`.
 */
export async function readArchive(
  files: ArchiveFiles,
  options: ReadOptions,
  signal: AbortSignal,
): Promise<SourceImages> {
  const names = await files.topNames();
  if (names.includes("oci-layout")) {
    const source = await readOciLayout(files, options);
    // Docker writes both. Its own names are those that its users know.
    const familiar = await dockerNames(files);
    const images = source.images.map((image) => ({ ...image, references: familiar.get(image.id) ?? image.references }));
    return { ...source, images };
  }
  if (names.includes("manifest.json")) return await readDockerArchive(files, options);
  if (names.includes("repositories") || looksLikeLegacyDocker(names)) {
    return await readLegacyDockerArchive(files, options, signal);
  }
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot import ${files.label}: it is neither an OCI layout (oci-layout) nor a Docker archive (manifest.json)`,
  );
}
