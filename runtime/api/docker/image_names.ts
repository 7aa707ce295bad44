/**
 * Names of images as Docker's clients write them. `web`, `library/web` and `docker.io/library/web` are one name there;
 * Lamina adds nothing to names and keeps the short one. Archives may have brought the long one.
 */
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import { formatImageReference, parseImageReference } from "../../core/reference.ts";
import type { Image } from "../../core/model/image.ts";
import type { LaminaRuntime } from "../../services.ts";

/** What Docker's clients put before names without a host; never contacted. */
const DEFAULT_HOST = "docker.io";
const OFFICIAL = "library/";

/** The short form: without the default host and `library/`. */
export function shortName(name: string): string {
  const host = name.slice(0, name.indexOf("/"));
  if (host !== DEFAULT_HOST && host !== `index.${DEFAULT_HOST}`) return name;
  const rest = name.slice(host.length + 1);
  return rest.startsWith(OFFICIAL) && rest.split("/").length === 2 ? rest.slice(OFFICIAL.length) : rest;
}

/** The long form: with host. */
export function longName(name: string): string {
  const [first, ...rest] = name.split("/");
  if (rest.length === 0) return `${DEFAULT_HOST}/${OFFICIAL}${name}`;
  return /[.:]/.test(first!) || first === "localhost" ? name : `${DEFAULT_HOST}/${name}`;
}

/** Repository and tag of an image's reference in short form. */
export function repositoryAndTag(reference: string): { repository: string; tag: string } {
  const { repository, tag = "latest" } = parseImageReference(reference);
  return { repository: shortName(repository), tag };
}

/** An image and how it was named. */
export interface NamedImage {
  readonly image: Image;
  /** The name under which Lamina knows it; an id where it was named by id. */
  readonly name: string;
  /** Named by a reference, and not by its id. */
  readonly byReference: boolean;
}

/**
 * The image that a client means: by reference in any form, id, or unique prefix of the id.
 *
 * @throws `NOT_FOUND` with the name as the client wrote it, `INVALID_ARGUMENT` (no name at all, ambiguous prefix).
 */
export function findDockerImage(runtime: LaminaRuntime, given: string): NamedImage {
  const candidates = given.startsWith("sha256:") ? [given] : [...new Set([shortName(given), longName(given)])];
  for (const name of candidates) {
    try {
      const image = runtime.images.inspect(name);
      return { image, name, byReference: namesReference(image, name) };
    } catch (error) {
      if (isLaminaError(error, "INVALID_ARGUMENT") && !/prefix/.test(error.message)) {
        throw new LaminaError("INVALID_ARGUMENT", `invalid reference format: ${error.message}`, { cause: error });
      }
      if (!isLaminaError(error, "NOT_FOUND")) throw error;
    }
  }
  throw new LaminaError("NOT_FOUND", `There is no image ${given.slice(0, 200)}`, {
    details: { image: withTag(given.slice(0, 200)) },
  });
}

/** `repo` and `tag` of a query as one reference in short form; `undefined` without a repository. */
export function referenceOf(repo: string | undefined, tag: string | undefined): string | undefined {
  if (repo === undefined) return undefined;
  const name = shortName(repo);
  const reference = tag === undefined ? name : `${name}:${tag}`;
  try {
    return formatImageReference(parseImageReference(reference));
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", `invalid reference format: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Whether a name has neither tag nor digest, and is no id. */
export function isNameOnly(name: string): boolean {
  return !name.includes("@") && name.lastIndexOf(":") <= name.lastIndexOf("/");
}

function namesReference(image: Image, name: string): boolean {
  try {
    return image.references.includes(formatImageReference(parseImageReference(name)));
  } catch (error) {
    if (isLaminaError(error)) return false;
    throw error;
  }
}

function withTag(name: string): string {
  return isNameOnly(name) && !/^[0-9a-f]{12,64}$/.test(name) ? `${name}:latest` : name;
}
