/** An image archive in a plain tar file: an index of its members; their bytes stay where they are. */
import { dirname } from "@std/path/posix";
import type { ChunkSource } from "../../../drivers/storage/layer/tar_blocks.ts";
import { type TarEntry, TarReader } from "../../../drivers/storage/layer/tar_reader.ts";
import { DEFAULT_LAYER_LIMITS, type FileRange } from "../../../drivers/storage/layer/types.ts";
import { byteStringFromText } from "../../core/bytes.ts";
import { LaminaError } from "../../core/errors.ts";
import { type ArchiveFiles, archivePath } from "./archive_files.ts";

/** What the index keeps of a member. */
type Member =
  | { readonly kind: "file"; readonly offset_bytes: number; readonly length_bytes: number }
  /** Absolute inside the archive; `undefined` when it leads out. */
  | { readonly kind: "link"; readonly target: string | undefined }
  | { readonly kind: "other"; readonly what: string };

/** What {@linkcode indexTar} is asked. */
export interface TarIndexOptions {
  /** What to call the archive in messages. */
  readonly label: string;
  readonly maxMembers: number;
  readonly signal: AbortSignal;
  /** Asked for every entry: true ends the indexing, because the archive is no image archive. */
  readonly isOther: (entry: TarEntry) => boolean;
}

const BLOCK_BYTES = 512;
const WINDOW_BYTES = 1 << 15;
/** Names that the index keeps, in bytes all together. */
const MAX_NAMES_BYTES = 16 << 20;
/** Links from link to link. */
const MAX_LINKS = 16;
const zeros = new Uint8Array(1 << 20);

/**
 * Reads the headers of a tar file and seeks over everything else.
 *
 * @returns `undefined` when `isOther` said so.
 * @throws `INVALID_ARGUMENT` (malformed, truncated), `RESOURCE_EXHAUSTED` (too many members or too long names).
 */
export async function indexTar(range: FileRange, options: TarIndexOptions): Promise<ArchiveFiles | undefined> {
  using file = await Deno.open(range.path);
  const chunks = new SeekingChunks(file, range);
  const reader = new TarReader(chunks, DEFAULT_LAYER_LIMITS, () => {});
  const members = new Map<string, Member>();
  let names_bytes = 0;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    options.signal.throwIfAborted();
    if (options.isOther(entry)) return undefined;
    const offset_bytes = chunks.position;
    chunks.skipUntil = offset_bytes + Math.ceil(entry.stored_bytes / BLOCK_BYTES) * BLOCK_BYTES;
    const path = archivePath(entry.name);
    if (path === undefined) continue;
    names_bytes += path.length;
    if (members.size >= options.maxMembers || names_bytes > MAX_NAMES_BYTES) throw tooMany(options);
    // The last one of a name wins, as when it is unpacked.
    members.set(path, memberOf(entry, path, { ...range, offset_bytes: range.offset_bytes + offset_bytes }));
  }
  return new TarFiles(options.label, range.path, members);
}

function memberOf(entry: TarEntry, path: string, { offset_bytes }: FileRange): Member {
  if (entry.type === "symlink") return { kind: "link", target: symlinkTarget(dirname(path), entry.linkName) };
  if (entry.type === "hardlink") return { kind: "link", target: archivePath(entry.linkName) };
  if (entry.type !== "file") return { kind: "other", what: `a ${entry.type}` };
  if (entry.sparse !== undefined) {
    return { kind: "other", what: "stored as a sparse file. Make the archive anew without --sparse" };
  }
  return { kind: "file", offset_bytes, length_bytes: entry.stored_bytes };
}

/** Where a symbolic link in `directory` leads, inside the archive. */
function symlinkTarget(directory: string, target: string): string | undefined {
  if (target.startsWith("/")) return undefined;
  const parts = directory === "." ? [] : directory.split("/");
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

function tooMany({ label, maxMembers }: TarIndexOptions): LaminaError {
  return new LaminaError(
    "RESOURCE_EXHAUSTED",
    `Cannot import ${label}: it has more than ${maxMembers} members or too long names for an image archive`,
    { details: { limit: maxMembers } },
  );
}

class TarFiles implements ArchiveFiles {
  readonly #path: string;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(readonly label: string, path: string, members: ReadonlyMap<string, Member>) {
    this.#path = path;
    this.#members = members;
  }

  find(path: string): Promise<FileRange | undefined> {
    return Promise.try(() => {
      let name: string | undefined = byteStringFromText(path);
      for (let hops = 0; hops <= MAX_LINKS; hops++) {
        if (name === undefined) throw this.#refuse(path, "a link that leads out of the archive");
        const member: Member | undefined = this.#members.get(name);
        if (member === undefined) {
          if (hops === 0) return undefined;
          throw this.#refuse(path, "a link to something that is not in the archive");
        }
        if (member.kind === "file") {
          return { path: this.#path, offset_bytes: member.offset_bytes, length_bytes: member.length_bytes };
        }
        if (member.kind === "other") throw this.#refuse(path, member.what);
        name = member.target;
      }
      throw this.#refuse(path, "a link that leads round in circles");
    });
  }

  topNames(): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const path of this.#members.keys()) names.add(path.split("/", 1)[0]!);
    return Promise.resolve([...names].sort());
  }

  #refuse(path: string, what: string): LaminaError {
    return new LaminaError("INVALID_ARGUMENT", `Cannot use ${this.label}: "${path}" in it is ${what}`);
  }
}

/**
 * The headers of a tar file block by block, read through a window. Up to `skipUntil` nothing is read: the reader skips
 * these bytes unseen, so that zeros do.
 */
class SeekingChunks implements ChunkSource {
  /** Of the next byte, from the start of the range. A multiple of the block size, or the end. */
  position = 0;
  skipUntil = 0;
  readonly #file: Deno.FsFile;
  readonly #range: FileRange;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #windowStart = 0;
  #windowLength = 0;

  constructor(file: Deno.FsFile, range: FileRange) {
    this.#file = file;
    this.#range = range;
  }

  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const left = this.#range.length_bytes - this.position;
    if (left <= 0) return undefined;
    if (this.position < this.skipUntil) {
      const count = Math.min(left, this.skipUntil - this.position, zeros.length);
      this.position += count;
      return zeros.subarray(0, count);
    }
    if (this.position < this.#windowStart || this.position >= this.#windowStart + this.#windowLength) {
      await this.#fill(Math.min(left, WINDOW_BYTES));
      if (this.#windowLength === 0) return undefined;
    }
    const at = this.position - this.#windowStart;
    const block = this.#window.slice(at, Math.min(at + BLOCK_BYTES, this.#windowLength));
    this.position += block.length;
    return block;
  }

  async #fill(count: number): Promise<void> {
    await this.#file.seek(this.#range.offset_bytes + this.position, Deno.SeekMode.Start);
    this.#windowStart = this.position;
    this.#windowLength = 0;
    while (this.#windowLength < count) {
      const got = await this.#file.read(this.#window.subarray(this.#windowLength, count));
      if (got === null) break;
      this.#windowLength += got;
    }
  }
}
