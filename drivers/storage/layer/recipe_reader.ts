/** Puts an archive together again from its recipe and the layer's tree. See `recipe_format.ts`. */
import { createHash } from "node:crypto";
import { type ByteString, byteStringFromText, byteStringOf, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { closeFd, openAt, preadFd, statxFd } from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../../runtime/host/openat2.ts";
import type { JobContext } from "./job_protocol.ts";
import { BlockReader, RECIPE_MAGIC, RECIPE_MAIN_AT, RecipeFormatError, RECORD } from "./recipe_format.ts";
import { absolutePath } from "./tree_error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CHUNK_BYTES = 1 << 18;

/** Arguments of {@linkcode reassembleJob}. */
export interface ReassembleJob {
  readonly recipePath: string;
  /** The layer's directory. */
  readonly tree: string;
  /** What the archive must hash to. */
  readonly diffId: string;
}

/**
 * Emits the original archive in chunks. The last one is only sent when the hash is right.
 *
 * @throws `NOT_FOUND` without a recipe, `DATA_LOSS` when recipe or tree no longer give the archive.
 */
export async function reassembleJob(job: ReassembleJob, context: JobContext): Promise<void> {
  const hash = createHash("sha256");
  let held: Bytes | undefined;
  let sent_bytes = 0;
  try {
    for (const chunk of reassemble(job.recipePath, job.tree)) {
      context.throwIfCancelled();
      hash.update(chunk);
      if (held !== undefined) await context.emitChunk(held);
      held = chunk;
      sent_bytes += chunk.length;
      context.progress({ phase: "export", id: job.diffId, current: sent_bytes });
    }
  } catch (error) {
    if (!(error instanceof RecipeFormatError)) throw error;
    throw lost(job, `the recipe "${job.recipePath}" is damaged: ${error.message}`, error);
  }
  const found = `sha256:${hash.digest("hex")}`;
  if (found !== job.diffId) throw lost(job, `its files give ${found} now: somebody has changed them`);
  if (held !== undefined) await context.emitChunk(held);
}

function lost(job: ReassembleJob, found: string, cause?: unknown): LaminaError {
  return new LaminaError(
    "DATA_LOSS",
    `Cannot put the archive of layer ${job.diffId} together again: ${found}. Import the image again`,
    { cause, details: { tree: job.tree } },
  );
}

/** The archive in chunks of 256 KiB, not verified; each chunk has a buffer of its own. */
export function* reassemble(recipePath: string, tree: string): Generator<Bytes, void, void> {
  using recipe = openRecipe(recipePath);
  using files = new TreeFiles(tree, recipe.fd, readAsides(recipe));
  const blocks = new BlockReader(recipe.pread, RECIPE_MAIN_AT);
  const output = new ChunkFiller();
  for (;;) {
    const block = blocks.next();
    let at = 0;
    const number = () => {
      let value = 0;
      for (let factor = 1;; factor *= 128) {
        const byte = block[at++];
        if (byte === undefined || factor > 2 ** 49) throw new RecipeFormatError("a record is cut short");
        value += (byte & 127) * factor;
        if (byte < 128) return value;
      }
    };
    const take = (length: number) => {
      if (at + length > block.length) throw new RecipeFormatError("a record is cut short");
      return block.subarray(at, at += length);
    };
    while (at < block.length) {
      const kind = block[at++];
      if (kind === RECORD.END) return yield* output.end();
      if (kind === RECORD.RAW) {
        yield* output.put(take(number()));
        continue;
      }
      if (kind === RECORD.FILE) files.select(byteStringOf(take(number())));
      else if (kind !== RECORD.MORE) throw new RecipeFormatError("a record is of no known kind");
      const offset = number();
      for (let left = number(), from = offset; left > 0;) {
        const room = output.room(left);
        files.read(room, from);
        from += room.length;
        left -= room.length;
        yield* output.filled(room.length);
      }
    }
  }
}

interface OpenRecipe extends Disposable {
  readonly fd: number;
  readonly size_bytes: number;
  readonly main_bytes: number;
  readonly pread: (buffer: Bytes, offset: number) => void;
}

function openRecipe(recipePath: string): OpenRecipe {
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, absolutePath(recipePath), O_RDONLY);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    throw new LaminaError("NOT_FOUND", `There is no recipe "${recipePath}": the layer was not imported`, {
      cause: error,
    });
  }
  try {
    const pread = (buffer: Bytes, offset: number) => {
      for (let at = 0; at < buffer.length;) {
        const count = preadFd(fd, buffer.subarray(at), offset + at);
        if (count === 0) throw new RecipeFormatError("it ends too early");
        at += count;
      }
    };
    const head = new Uint8Array(RECIPE_MAIN_AT);
    pread(head, 0);
    if (RECIPE_MAGIC.some((byte, i) => head[i] !== byte)) throw new RecipeFormatError("it is no recipe");
    const main_bytes = Number(new DataView(head.buffer).getBigUint64(8, true));
    return { fd, main_bytes, size_bytes: statxFd(fd).size_bytes, pread, [Symbol.dispose]: () => closeFd(fd) };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

interface Aside {
  /** Where its first block is. */
  readonly offset: number;
  readonly size_bytes: number;
}

function readAsides(recipe: OpenRecipe): Map<ByteString, Aside[]> {
  const asides = new Map<ByteString, Aside[]>();
  for (let at = RECIPE_MAIN_AT + recipe.main_bytes; at < recipe.size_bytes;) {
    const head = new Uint8Array(4);
    recipe.pread(head, at);
    const pathLength = new DataView(head.buffer).getUint32(0, true);
    if (pathLength > 65_536) throw new RecipeFormatError("an aside has an impossible path");
    const rest = new Uint8Array(pathLength + 8);
    recipe.pread(rest, at + 4);
    const path = byteStringOf(rest.subarray(0, pathLength));
    const size_bytes = Number(new DataView(rest.buffer).getBigUint64(pathLength, true));
    const blocks = new BlockReader(recipe.pread, at + 4 + rest.length);
    const aside = { offset: blocks.offset, size_bytes };
    for (let left = size_bytes; left > 0;) left -= blocks.skip();
    at = blocks.offset;
    const known = asides.get(path);
    if (known === undefined) asides.set(path, [aside]);
    else known.push(aside);
  }
  return asides;
}

/** The contents that FILE and MORE records name. */
class TreeFiles implements Disposable {
  readonly #treeFd: number;
  readonly #recipeFd: number;
  readonly #asides: Map<ByteString, Aside[]>;
  #path = "" as ByteString;
  #fd = -1;
  #aside: { blocks: BlockReader; at: number; block: Bytes; blockAt: number } | undefined;

  constructor(tree: string, recipeFd: number, asides: Map<ByteString, Aside[]>) {
    this.#treeFd = openAt(AT_FDCWD, byteStringFromText(tree), O_RDONLY | O_DIRECTORY);
    this.#recipeFd = recipeFd;
    this.#asides = asides;
  }

  select(path: ByteString): void {
    this.#close();
    this.#path = path;
    const aside = this.#asides.get(path)?.shift();
    if (aside !== undefined) {
      const pread = (buffer: Bytes, offset: number) => {
        if (preadFd(this.#recipeFd, buffer, offset) !== buffer.length) throw new RecipeFormatError("it ends too early");
      };
      const empty = new Uint8Array(0);
      this.#aside = { blocks: new BlockReader(pread, aside.offset), at: 0, block: empty, blockAt: 0 };
      return;
    }
    try {
      this.#fd = openat2(this.#treeFd, path, {
        flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
        resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
      });
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
      throw new LaminaError(
        "DATA_LOSS",
        `Cannot put a layer's archive together again: its file "${displayName(path)}" is gone. Import the image again`,
        { cause: error },
      );
    }
  }

  /** Fills `buffer` from `offset` of the selected file. Offsets ascend. */
  read(buffer: Bytes, offset: number): void {
    for (let at = 0; at < buffer.length;) {
      const rest = buffer.subarray(at);
      const count = this.#aside === undefined
        ? preadFd(this.#fd, rest, offset + at)
        : this.#readAside(rest, offset + at);
      if (count === 0) {
        throw new LaminaError(
          "DATA_LOSS",
          `Cannot put a layer's archive together again: its file "${
            displayName(this.#path)
          }" is shorter than it was. ` +
            "Import the image again",
        );
      }
      at += count;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
    closeFd(this.#treeFd);
  }

  #readAside(buffer: Bytes, offset: number): number {
    const aside = this.#aside!;
    while (offset >= aside.blockAt + aside.block.length) {
      aside.blockAt += aside.block.length;
      aside.block = aside.blocks.next();
    }
    const piece = aside.block.subarray(offset - aside.blockAt, offset - aside.blockAt + buffer.length);
    buffer.set(piece);
    return piece.length;
  }

  #close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
    this.#aside = undefined;
  }
}

/** Gathers bytes into chunks. */
class ChunkFiller {
  #chunk = new Uint8Array(CHUNK_BYTES);
  #used = 0;

  *put(bytes: Bytes): Generator<Bytes, void, void> {
    for (let at = 0; at < bytes.length;) {
      const room = this.room(bytes.length - at);
      room.set(bytes.subarray(at, at + room.length));
      at += room.length;
      yield* this.filled(room.length);
    }
  }

  /** At most `wanted_bytes` of the chunk at hand, to be filled. */
  room(wanted_bytes: number): Bytes {
    return this.#chunk.subarray(this.#used, this.#used + wanted_bytes);
  }

  *filled(length: number): Generator<Bytes, void, void> {
    this.#used += length;
    if (this.#used < this.#chunk.length) return;
    yield this.#chunk;
    this.#chunk = new Uint8Array(CHUNK_BYTES);
    this.#used = 0;
  }

  *end(): Generator<Bytes, void, void> {
    if (this.#used > 0) yield this.#chunk.slice(0, this.#used);
  }
}
