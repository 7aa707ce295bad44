/** Writes a tar archive of members whose sizes are known before their bytes. The same members give the same bytes. */
import { encodeTarHead, padded, type TarHead } from "../../../drivers/storage/layer/tar_encode.ts";
import { byteStringFromText } from "../../core/bytes.ts";
import { LaminaError } from "../../core/errors.ts";

type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>;

/** A file or, with a name that ends in a slash, a directory. */
export interface ArchiveMember {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer> | { readonly size_bytes: number; readonly chunks: Chunks };
}

/**
 * The bytes of the archive.
 *
 * @throws `DATA_LOSS` when a member has not as many bytes as it should: the archive never ends as if it were whole.
 */
export async function* tarArchive(members: AsyncIterable<ArchiveMember>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const { name, content } of members) {
    if (content instanceof Uint8Array) {
      yield header(name, content.length);
      if (content.length > 0) yield new Uint8Array(content);
      yield* padding(content.length);
      continue;
    }
    yield header(name, content.size_bytes);
    let written_bytes = 0;
    for await (const chunk of content.chunks) {
      written_bytes += chunk.length;
      if (written_bytes > content.size_bytes) break;
      if (chunk.length > 0) yield chunk;
    }
    if (written_bytes !== content.size_bytes) {
      throw new LaminaError(
        "DATA_LOSS",
        `Cannot export ${name}: it should have ${content.size_bytes} bytes, but ${
          written_bytes > content.size_bytes ? "has more" : `has ${written_bytes}`
        }`,
      );
    }
    yield* padding(content.size_bytes);
  }
  yield new Uint8Array(1024);
}

function header(name: string, size_bytes: number): Uint8Array<ArrayBuffer> {
  const isDirectory = name.endsWith("/");
  const head: TarHead = {
    path: byteStringFromText(name),
    type: isDirectory ? "directory" : "file",
    mode: isDirectory ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size_bytes,
    mtime_s: 0,
    mtime_ns: 0,
  };
  return encodeTarHead(head);
}

function* padding(size_bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  const count = padded(size_bytes) - size_bytes;
  if (count > 0) yield new Uint8Array(count);
}
