/** Finds out what an import is given, and makes its files accessible. */
import { resolve } from "@std/path/posix";
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { hostError } from "../../host/errno_errors.ts";
import type { ByteStream, ImportSource } from "../../services.ts";
import type { ImageRoom } from "../image_room.ts";
import type { RootfsArchive } from "../import_rootfs.ts";
import { isImageArchive } from "../read/read_archive.ts";
import { baseNameOf } from "../reference_names.ts";
import { type ArchiveFiles, readRange } from "./archive_files.ts";
import {
  decompressed,
  foundCompression,
  readRangeChunks,
  streamChunks,
  streamOf,
} from "../../../drivers/storage/layer/byte_streams.ts";
import { openDirectoryFiles } from "./directory_files.ts";
import { concatenated, headShowsRootfs, isRootfsEntry } from "./recognise.ts";
import { spool } from "./spool.ts";
import { indexTar } from "./tar_files.ts";

/** What an import is given; disposing it removes what was spooled. */
export interface OpenedSource extends AsyncDisposable {
  readonly what:
    | { readonly kind: "archive"; readonly files: ArchiveFiles; readonly baseName?: string }
    | { readonly kind: "rootfs"; readonly archive: RootfsArchive };
}

/** How a source is opened. */
export interface OpenOptions {
  /** The archive holds the files of a root, whatever they look like. */
  readonly asRootfs: boolean;
}

/** Bytes of the head that are looked at: more than the largest block of zstd. */
const HEAD_BYTES = 1 << 18;
const nothingToDispose = () => Promise.resolve();

/**
 * Opens a source. Plain archives are read in place; streams and compressed image archives are spooled; a rootfs tar is
 * never spooled when its head shows what it is.
 *
 * @throws `NOT_FOUND`, `PERMISSION_DENIED`, `INVALID_ARGUMENT`, `UNSUPPORTED`, `RESOURCE_EXHAUSTED`.
 */
export async function openSource(
  room: ImageRoom,
  source: ImportSource,
  options: OpenOptions,
  operation: Operation,
): Promise<OpenedSource> {
  if ("stream" in source) return await openStream(room, source.stream, "the stream", options, operation);
  const path = resolve(source.path);
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory && !options.asRootfs) {
      const what = { kind: "archive" as const, files: await openDirectoryFiles(path), baseName: baseNameOf(path) };
      return { what, [Symbol.asyncDispose]: nothingToDispose };
    }
    const range = { path, offset_bytes: 0, length_bytes: info.size };
    if (info.isFile) return await openFile(room, range, options, operation);
  } catch (error) {
    throw hostError(error, `Cannot open ${path}`, { path });
  }
  // Opening a pipe would hold the whole process until its other end is opened, too.
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot import ${path}: it is neither a file nor a directory. The content of a pipe can be given as a stream (-)`,
  );
}

async function openFile(
  room: ImageRoom,
  range: FileRange,
  { asRootfs }: OpenOptions,
  operation: Operation,
): Promise<OpenedSource> {
  const label = range.path;
  const head = await readRange({ ...range, length_bytes: Math.min(range.length_bytes, HEAD_BYTES) });
  if (head.length === 0) throw empty(label);
  const compression = foundCompression(head, label);
  const rootfs: OpenedSource = {
    what: { kind: "rootfs", archive: { label, source: range, compression } },
    [Symbol.asyncDispose]: nothingToDispose,
  };
  if (asRootfs || await headShowsRootfs(head, compression, label)) return rootfs;
  if (compression !== "none") {
    const chunks = decompressed(readRangeChunks(range), compression, label);
    return await openSpooled(room, chunks, label, baseNameOf(range.path), operation);
  }
  const files = await index(room, range, label, operation);
  if (files === undefined) return rootfs;
  return {
    what: { kind: "archive", files, baseName: baseNameOf(range.path) },
    [Symbol.asyncDispose]: nothingToDispose,
  };
}

async function openStream(
  room: ImageRoom,
  stream: ByteStream,
  label: string,
  { asRootfs }: OpenOptions,
  operation: Operation,
): Promise<OpenedSource> {
  const chunks = streamChunks(stream, operation.signal);
  try {
    const { head, first } = await readHead(chunks, operation.signal);
    if (head.length === 0) throw empty(label);
    const compression = foundCompression(head, label);
    const whole = replay(first, chunks);
    if (asRootfs || await headShowsRootfs(head, compression, label)) {
      const archive = { label, source: streamOf(whole), compression };
      return {
        what: { kind: "rootfs", archive },
        [Symbol.asyncDispose]: async () => void await chunks.return(undefined),
      };
    }
    return await openSpooled(room, decompressed(whole, compression, label), label, undefined, operation);
  } catch (error) {
    await chunks.return(undefined);
    throw error;
  }
}

/** Spools a plain archive and looks at it again. */
async function openSpooled(
  room: ImageRoom,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  label: string,
  baseName: string | undefined,
  operation: Operation,
): Promise<OpenedSource> {
  const options = { directory: room.layout.staging, maxBytes: room.limits.maxSpool_bytes, label };
  const file = await spool(chunks, options, operation);
  const dispose = () => file[Symbol.asyncDispose]();
  try {
    const files = await index(room, file.range, label, operation);
    const archive: RootfsArchive = { label, source: file.range, compression: "none" };
    return {
      what: files === undefined ? { kind: "rootfs", archive } : { kind: "archive", files, baseName },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** `undefined`: it is a rootfs tar. */
async function index(
  room: ImageRoom,
  range: FileRange,
  label: string,
  { signal }: Operation,
): Promise<ArchiveFiles | undefined> {
  let entries = 0;
  const files = await indexTar(range, {
    label,
    maxMembers: room.limits.maxMembers,
    signal,
    isOther: (entry) => isRootfsEntry(entry) || ++entries > room.limits.maxMembers,
  });
  if (files === undefined || await isImageArchive(files)) return files;
  return undefined;
}

async function readHead(
  chunks: AsyncGenerator<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): Promise<{ head: Uint8Array<ArrayBuffer>; first: Uint8Array<ArrayBuffer>[] }> {
  const first: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  while (length < HEAD_BYTES) {
    signal.throwIfAborted();
    const { done, value } = await chunks.next();
    if (done) break;
    first.push(value);
    length += value.length;
  }
  return { head: concatenated(first), first };
}

async function* replay(
  first: readonly Uint8Array<ArrayBuffer>[],
  rest: AsyncGenerator<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield* first;
  yield* rest;
}

function empty(label: string): LaminaError {
  return new LaminaError("INVALID_ARGUMENT", `Cannot import ${label}: it is empty`);
}
