/** Files that hold a whole block device: setting their space aside, sharing their blocks, showing them as devices. */
import { byteStringFromText } from "../core/bytes.ts";
import { attachLoop, type LoopDevice, loopsOf } from "./block_devices.ts";
import { closeFd, openAt } from "./fs_calls.ts";
import { truncateFd, writeFd } from "./fs_change_calls.ts";
import { cFunctions, ErrnoError, isErrno, lastErrno, libc, slowLibc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from "./openat2.ts";

const slow = cFunctions({
  // Unlike fallocate(2) it returns its error, which stays readable from another thread, and it does without the
  // file system's help where there is none.
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32", nonblocking: true },
});

const FICLONE = 0x40049409n;
const CANNOT_SHARE = ["EOPNOTSUPP", "EXDEV", "EINVAL", "errno 25", "ENOSYS", "EPERM"];

/**
 * Gives a file a size, and makes it where it is missing. It never shrinks.
 *
 * @param options `sparse`: no space is set aside.
 * @throws {@linkcode ErrnoError}: `ENOSPC`, `EDQUOT`, `EFBIG`; the file may have grown a part of the way.
 */
export async function growFile(path: string, size_bytes: number, options: { readonly sparse: boolean }): Promise<void> {
  const fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  try {
    const { size } = Deno.statSync(path);
    if (options.sparse) {
      if (size < size_bytes) truncateFd(fd, size_bytes);
    } else {
      const result = await slow.posix_fallocate(fd, 0n, BigInt(size_bytes));
      if (result !== 0) throw new ErrnoError("posix_fallocate", result, path);
    }
    if (await slowLibc.fsync(fd) !== 0) throw new ErrnoError("fsync", 5, path);
  } finally {
    closeFd(fd);
  }
}

/**
 * Makes the file `to` (must not exist) with the blocks of `from`: one step, whatever the size. Durable but for its name.
 *
 * @returns false: the file system cannot; nothing is left.
 * @throws {@linkcode ErrnoError}
 */
export async function shareFile(from: string, to: string): Promise<boolean> {
  const source = openAt(AT_FDCWD, byteStringFromText(from), O_RDONLY | O_CLOEXEC);
  try {
    const target = openAt(AT_FDCWD, byteStringFromText(to), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
    try {
      if (libc.ioctl(target, FICLONE, BigInt(source)) !== 0) {
        const error = new ErrnoError("FICLONE", lastErrno(), to);
        Deno.removeSync(to);
        if (!isErrno(error, ...CANNOT_SHARE)) throw error;
        return false;
      }
      if (await slowLibc.fsync(target) !== 0) throw new ErrnoError("fsync", 5, to);
      return true;
    } finally {
      closeFd(target);
    }
  } finally {
    closeFd(source);
  }
}

/** Whether files in `directory` (one that is written to) can share blocks. Tried out with a file of one block. */
export async function canShareFiles(directory: string): Promise<boolean> {
  const from = `${directory}/.share-${crypto.randomUUID()}`, to = `${from}-copy`;
  const fd = openAt(AT_FDCWD, byteStringFromText(from), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  try {
    writeFd(fd, new Uint8Array(65536));
    const shares = await shareFile(from, to);
    if (shares) Deno.removeSync(to);
    return shares;
  } finally {
    closeFd(fd);
    Deno.removeSync(from);
  }
}

/**
 * The loop device of a file: the one that it has, or a new one. Two at a time on one file would each cache it and
 * damage what is in it.
 *
 * @param file Canonical path.
 * @throws {@linkcode ErrnoError}
 */
export function holdLoop(file: string): LoopDevice {
  for (const path of loopsOf(file)) {
    let fd: number;
    try {
      fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDWR | O_CLOEXEC);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENXIO")) continue;
      throw error;
    }
    // Open, it stays; but it may have been freed, and given to another file, just before.
    if (!loopsOf(file).includes(path)) {
      closeFd(fd);
      continue;
    }
    let open = true;
    return {
      path,
      [Symbol.dispose]() {
        if (open) closeFd(fd);
        open = false;
      },
    };
  }
  return attachLoop(file);
}
