/** Writes the recipe of an archive while the archive is unpacked. See `recipe_format.ts`. */
import { bytesOf, type ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, openAt, openToReadAt, preadFd, readFd, statxFd } from "../../../runtime/host/fs_calls.ts";
import { pwriteFd, renameAt, unlinkAt, writeFd } from "../../../runtime/host/fs_change_calls.ts";
import { checked, isErrno, libc } from "../../../runtime/host/libc.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC } from "../../../runtime/host/openat2.ts";
import {
  MAX_NUMBER_BYTES,
  packBlock,
  putNumber,
  RECIPE_BLOCK_BYTES,
  RECIPE_MAGIC,
  RECIPE_MAIN_AT,
  RECORD,
} from "./recipe_format.ts";
import { absolutePath } from "./tree_error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Names of a recipe that is not finished; whoever finds one without a writer deletes it. */
export function unfinishedRecipes(recipePath: string): string[] {
  return [`${recipePath}.partial`, `${recipePath}.asides.partial`];
}

/** See the head of the file. */
export class RecipeWriter {
  readonly #path: ByteString;
  readonly #partial: ByteString;
  readonly #asidesPath: ByteString;
  readonly #fd: number;
  #asidesFd = -1;
  /** Records that are complete. */
  readonly #block = new Uint8Array(RECIPE_BLOCK_BYTES);
  #filled = 0;
  /** Raw bytes of which the record is not written yet, because more may follow. */
  readonly #raw = new Uint8Array(RECIPE_BLOCK_BYTES / 4);
  #rawFilled = 0;

  /** @param recipePath Absolute path under which the recipe will be found once it is published. */
  constructor(recipePath: string) {
    const [partial, asides] = unfinishedRecipes(recipePath);
    this.#path = absolutePath(recipePath);
    this.#partial = absolutePath(partial!);
    this.#asidesPath = absolutePath(asides!);
    this.#fd = openAt(AT_FDCWD, this.#partial, O_RDWR | O_CREAT | O_TRUNC, 0o600);
    writeFd(this.#fd, new Uint8Array(RECIPE_MAIN_AT));
  }

  /** Descriptor of the file, for a `syncfs`. */
  get fd(): number {
    return this.#fd;
  }

  /** Bytes of the archive that are no file content. */
  raw(bytes: Bytes): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#rawFilled === this.#raw.length) this.#flushRaw();
      const count = Math.min(bytes.length - at, this.#raw.length - this.#rawFilled);
      this.#raw.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#rawFilled);
      this.#rawFilled += count;
      at += count;
    }
  }

  /** The archive goes on with `length` bytes at `offset` of the file `path` of the tree. */
  file(path: ByteString, offset: number, length: number): void {
    this.#flushRaw();
    this.#room(1 + path.length + 3 * MAX_NUMBER_BYTES);
    this.#block[this.#filled++] = RECORD.FILE;
    this.#number(path.length);
    for (let i = 0; i < path.length; i++) this.#block[this.#filled++] = path.charCodeAt(i);
    this.#number(offset);
    this.#number(length);
  }

  /** The archive goes on with a further piece of the file before. */
  more(offset: number, length: number): void {
    this.#flushRaw();
    this.#room(1 + 2 * MAX_NUMBER_BYTES);
    this.#block[this.#filled++] = RECORD.MORE;
    this.#number(offset);
    this.#number(length);
  }

  /**
   * Keeps the content of a file for which there is a FILE record and that is about to be removed.
   *
   * @param path As in the record; `name` in `dirFd` is the file.
   * @returns Bytes kept.
   */
  saveAside(path: ByteString, dirFd: number, name: ByteString): number {
    if (this.#asidesFd < 0) {
      this.#asidesFd = openAt(AT_FDCWD, this.#asidesPath, O_RDWR | O_CREAT | O_TRUNC, 0o600);
    }
    const from = openToReadAt(dirFd, name);
    try {
      const { size_bytes } = statxFd(from);
      const head = new Uint8Array(4 + path.length + 8);
      const view = new DataView(head.buffer);
      view.setUint32(0, path.length, true);
      head.set(bytesOf(path), 4);
      view.setBigUint64(4 + path.length, BigInt(size_bytes), true);
      writeFd(this.#asidesFd, head);
      const buffer = new Uint8Array(RECIPE_BLOCK_BYTES);
      for (let left = size_bytes; left > 0;) {
        const count = readFd(from, left < buffer.length ? buffer.subarray(0, left) : buffer);
        if (count === 0) break; // it cannot shrink; if it does, the diffID will tell
        writeFd(this.#asidesFd, packBlock(buffer.subarray(0, count)));
        left -= count;
      }
      return size_bytes;
    } finally {
      closeFd(from);
    }
  }

  /** Writes the rest. The file is complete then, but neither synced nor under its name. */
  complete(): void {
    this.#flushRaw();
    this.#room(1);
    this.#block[this.#filled++] = RECORD.END;
    this.#flushBlock();
    const main_bytes = Number(checked(libc.lseek(this.#fd, 0n, 1), "lseek", "recipe")) - RECIPE_MAIN_AT;
    if (this.#asidesFd >= 0) {
      const buffer = new Uint8Array(RECIPE_BLOCK_BYTES);
      for (let at = 0;;) {
        const count = preadFd(this.#asidesFd, buffer, at);
        if (count === 0) break;
        writeFd(this.#fd, buffer.subarray(0, count));
        at += count;
      }
      this.#closeAsides();
    }
    const head = new Uint8Array(RECIPE_MAIN_AT);
    head.set(RECIPE_MAGIC);
    new DataView(head.buffer).setBigUint64(8, BigInt(main_bytes), true);
    pwriteFd(this.#fd, head, 0);
  }

  /** Gives the synced file its name, durably. */
  publish(): void {
    renameAt(AT_FDCWD, this.#partial, AT_FDCWD, this.#path);
    closeFd(this.#fd);
    const directory = this.#path.slice(0, this.#path.lastIndexOf("/") + 1) as ByteString;
    const fd = openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    try {
      checked(libc.fsync(fd), "fsync", directory);
    } finally {
      closeFd(fd);
    }
  }

  /** Removes everything again; instead of {@linkcode publish}. */
  discard(): void {
    closeFd(this.#fd);
    if (this.#asidesFd >= 0) this.#closeAsides();
    try {
      unlinkAt(AT_FDCWD, this.#partial);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }

  #closeAsides(): void {
    closeFd(this.#asidesFd);
    this.#asidesFd = -1;
    unlinkAt(AT_FDCWD, this.#asidesPath);
  }

  #flushRaw(): void {
    if (this.#rawFilled === 0) return;
    this.#room(1 + MAX_NUMBER_BYTES + this.#rawFilled);
    this.#block[this.#filled++] = RECORD.RAW;
    this.#number(this.#rawFilled);
    this.#block.set(this.#raw.subarray(0, this.#rawFilled), this.#filled);
    this.#filled += this.#rawFilled;
    this.#rawFilled = 0;
  }

  #number(value: number): void {
    this.#filled = putNumber(this.#block, this.#filled, value);
  }

  /** A record never spans two blocks. */
  #room(length: number): void {
    if (this.#filled + length > this.#block.length) this.#flushBlock();
  }

  #flushBlock(): void {
    if (this.#filled > 0) writeFd(this.#fd, packBlock(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}
