/** The files of an image archive, whatever holds them: a directory or a tar. */
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import { MAX_DOCUMENT_BYTES } from "../json_document.ts";

/** See the head of the file. */
export interface ArchiveFiles {
  /** What to call it in messages. */
  readonly label: string;
  /**
   * Where the bytes of a regular file are; links are followed inside the archive only. `undefined` when there is no
   * such file.
   *
   * @param path Relative, as {@linkcode archivePath} gives it.
   * @throws `INVALID_ARGUMENT` when it is no regular file or a link leads out.
   */
  find(path: string): Promise<FileRange | undefined>;
  /** Names at the top, directories too. Bounded. */
  topNames(): Promise<readonly string[]>;
}

/**
 * The path of an archive's member as the archive's own documents and headers name it, in one form: without `./`,
 * double or leading slashes. `undefined` for one that leads out or names nothing.
 */
export function archivePath(name: string): string | undefined {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." || part.includes("\0")) return undefined;
    parts.push(part);
  }
  return parts.length === 0 ? undefined : parts.join("/");
}

/**
 * The bytes of a small document.
 *
 * @throws `NOT_FOUND` when it is missing, `RESOURCE_EXHAUSTED` when it is larger than any real one,
 * `INVALID_ARGUMENT` when it is no regular file.
 */
export async function readDocument(
  files: ArchiveFiles,
  path: string,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const range = await files.find(path);
  if (range === undefined) throw missing(files, path, what);
  if (range.length_bytes > MAX_DOCUMENT_BYTES) {
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `Cannot read the ${what} of ${files.label}: it has ${range.length_bytes} bytes, more than ${MAX_DOCUMENT_BYTES}`,
      { details: { limit: MAX_DOCUMENT_BYTES } },
    );
  }
  return await readRange(range);
}

/** The error for a file that a document names and the archive does not hold. */
export function missing(files: ArchiveFiles, path: string, what: string): LaminaError {
  return new LaminaError("INVALID_ARGUMENT", `Cannot use ${files.label}: the ${what} (${path}) is missing from it`, {
    details: { path },
  });
}

/** All bytes of a range that was found to be small. */
export async function readRange(range: FileRange): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(range.path);
  await file.seek(range.offset_bytes, Deno.SeekMode.Start);
  const bytes = new Uint8Array(range.length_bytes);
  let filled = 0;
  while (filled < bytes.length) {
    const got = await file.read(bytes.subarray(filled));
    if (got === null) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot read ${range.path}: it ends ${bytes.length - filled} bytes short`,
      );
    }
    filled += got;
  }
  return bytes;
}
