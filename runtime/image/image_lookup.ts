/** Which image a caller means. */
import { LaminaError } from "../core/errors.ts";
import { formatImageReference, parseImageReference } from "../core/reference.ts";
import type { Reader } from "../store/store.ts";
import { findImage, type ImageRow } from "./image_rows.ts";

/** An image and how it was named. */
export interface FoundImage {
  readonly row: ImageRow;
  /** The reference that led to it; absent when it was named by id. */
  readonly reference?: string;
}

/** Digits that an id's prefix has at least. */
const MIN_PREFIX = 4;
const prefixPattern = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/**
 * Finds an image by reference (`web` is `web:latest`), id, or unique prefix of the id's digits (at least 4, with or
 * without `sha256:`). A reference wins over a prefix that looks the same.
 *
 * @throws `NOT_FOUND`; `INVALID_ARGUMENT` when a prefix fits several images or the text is no name at all.
 */
export function lookUpImage(reader: Reader, name: string): FoundImage {
  const prefix = prefixPattern.exec(name)?.[1];
  if (!name.startsWith("sha256:")) {
    const found = byReference(reader, name, prefix === undefined);
    if (found !== undefined) return found;
  }
  const row = prefix !== undefined && prefix.length >= MIN_PREFIX ? byPrefix(reader, prefix, name) : undefined;
  if (row !== undefined) return { row };
  throw new LaminaError(
    "NOT_FOUND",
    `There is no image ${JSON.stringify(name.slice(0, 200))}. "lamina image ls" shows those that are there`,
    { details: { image: name.slice(0, 200) } },
  );
}

function byReference(reader: Reader, name: string, mustBeOne: boolean): FoundImage | undefined {
  // Digits alone are a well-formed name too, so that only what cannot be an id is refused here.
  let reference;
  try {
    reference = parseImageReference(name);
  } catch (error) {
    if (mustBeOne) throw error;
    return undefined;
  }
  const { repository, tag, digest } = reference;
  if (digest !== undefined) return byDigest(reader, repository, digest);
  const text = formatImageReference({ repository, tag });
  const row = reader.get<ImageRow>(
    "SELECT images.* FROM image_references JOIN images ON images.id = image_id WHERE name = ?",
    text,
  );
  return row === undefined ? undefined : { row, reference: text };
}

/** `name@sha256:ID`: the image of that id, if it has a reference of that repository. */
function byDigest(reader: Reader, repository: string, digest: string): FoundImage | undefined {
  const named = reader.get(
    "SELECT 1 FROM image_references WHERE image_id = ? AND substr(name, 1, ?) = ?",
    digest,
    repository.length + 1,
    `${repository}:`,
  );
  const row = named === undefined ? undefined : findImage(reader, digest);
  return row === undefined ? undefined : { row };
}

function byPrefix(reader: Reader, prefix: string, name: string): ImageRow | undefined {
  // "g" is the character after the last hexadecimal digit.
  const rows = reader.all<ImageRow>(
    "SELECT * FROM images WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
    `sha256:${prefix}`,
    `sha256:${prefix}g`,
  );
  if (rows.length < 2) return rows[0];
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `The image id prefix ${JSON.stringify(name)} fits several images, e.g. ${
      rows.map(({ id }) => id.slice(7, 23)).join(" and ")
    }. Write more digits`,
  );
}
