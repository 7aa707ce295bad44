/** Writes what cannot be seeked in (a stream, a compressed archive) to a file of the root, for as long as it is needed. */
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { hostError } from "../../host/errno_errors.ts";

/** A file that goes away when it is disposed. */
export interface SpooledFile extends AsyncDisposable {
  readonly range: FileRange;
}

/** What {@linkcode spool} is told. */
export interface SpoolOptions {
  /** Existing directory; what a crash leaves in it is removed at the next start. */
  readonly directory: string;
  readonly maxBytes: number;
  /** What is spooled, for messages. */
  readonly label: string;
}

/**
 * Writes all chunks to a new file.
 *
 * @throws `RESOURCE_EXHAUSTED` (limit, disk full), what the chunks throw; no file is left then.
 */
export async function spool(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  { directory, maxBytes, label }: SpoolOptions,
  operation: Operation,
): Promise<SpooledFile> {
  const path = `${directory}/spool-${crypto.randomUUID()}`;
  const remove = async () => {
    try {
      await Deno.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot delete ${path}`);
    }
  };
  try {
    const length_bytes = await write(path, chunks, maxBytes, label, operation);
    return { range: { path, offset_bytes: 0, length_bytes }, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw hostError(error, `Cannot keep ${label} in ${directory}`);
  }
}

async function write(
  path: string,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  maxBytes: number,
  label: string,
  { signal, progress }: Operation,
): Promise<number> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  let written_bytes = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    written_bytes += chunk.length;
    if (written_bytes > maxBytes) {
      throw new LaminaError(
        "RESOURCE_EXHAUSTED",
        `Cannot read ${label}: it has more than ${maxBytes} bytes uncompressed, the limit for an archive`,
        { details: { limit: maxBytes } },
      );
    }
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
    progress({ phase: "read", id: "archive", current: written_bytes });
  }
  return written_bytes;
}
