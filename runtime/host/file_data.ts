/** Copying a file's data the cheapest way the file system knows: shared blocks, then by extents, holes kept. */
import { type FileStatus, preadFd, readFd } from "./fs_calls.ts";
import { pwriteFd, truncateFd, writeFd } from "./fs_change_calls.ts";
import { checked, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";

const FICLONE = 0x40049409n;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const CANNOT_CLONE = ["EOPNOTSUPP", "EXDEV", "EINVAL", "errno 25", "ENOSYS", "EPERM", "ETXTBSY"];

/** Copies data between open files. One instance serves a whole tree: it remembers what the file system cannot do. */
export class FileDataCopier {
  readonly #buffer = new Uint8Array(1 << 20);
  #mayClone = true;

  /** Whether blocks were shared so far (nothing that could not be has been seen). */
  get shares(): boolean {
    return this.#mayClone;
  }

  /**
   * Copies what `from` holds to the empty file `to`. Both are at their start.
   *
   * @param status Of `from`; at most `size_bytes` are copied.
   * @param check Called once per MiB; throws to end the work.
   */
  copy(from: number, to: number, status: FileStatus, check: () => void): void {
    if (status.size_bytes === 0) return;
    if (this.#mayClone) {
      if (libc.ioctl(to, FICLONE, BigInt(from)) === 0) return;
      const error = new ErrnoError("FICLONE", lastErrno(), `fd ${from}`);
      if (!isErrno(error, ...CANNOT_CLONE)) throw error;
      this.#mayClone = false;
    }
    if (status.blocks * 512 < status.size_bytes) this.#copyExtents(from, to, status.size_bytes, check);
    else this.#copyAll(from, to, status.size_bytes, check);
  }

  #copyAll(from: number, to: number, size_bytes: number, check: () => void): void {
    for (let left = size_bytes; left > 0;) {
      const want = Math.min(left, this.#buffer.length);
      const count = readFd(from, want === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, want));
      if (count === 0) return;
      writeFd(to, this.#buffer.subarray(0, count));
      left -= count;
      if (left > 0) check();
    }
  }

  #copyExtents(from: number, to: number, size_bytes: number, check: () => void): void {
    for (let at = 0; at < size_bytes;) {
      const data = Number(libc.lseek(from, BigInt(at), SEEK_DATA));
      if (data < 0) {
        const error = new ErrnoError("lseek", lastErrno(), `fd ${from}`);
        if (isErrno(error, "ENXIO")) break; // a hole up to the end
        throw error;
      }
      const hole = Number(checked(libc.lseek(from, BigInt(data), SEEK_HOLE), "lseek", `fd ${from}`));
      at = this.#copyRange(from, to, data, Math.min(hole, size_bytes), check);
    }
    truncateFd(to, size_bytes);
  }

  #copyRange(from: number, to: number, start: number, end: number, check: () => void): number {
    for (let at = start; at < end;) {
      const count = preadFd(from, this.#buffer.subarray(0, Math.min(end - at, this.#buffer.length)), at);
      if (count === 0) return end;
      pwriteFd(to, this.#buffer.subarray(0, count), at);
      at += count;
      check();
    }
    return end;
  }
}
