/** Block devices: loop devices on files, sizes, flushing, discarding. */
import { byteStringFromText } from "../core/bytes.ts";
import { closeFd, openAt } from "./fs_calls.ts";
import { cFunctions, checked, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_EXCL, O_RDONLY, O_RDWR } from "./openat2.ts";

const LOOP_CLR_FD = 0x4c01n;
const LOOP_SET_CAPACITY = 0x4c07n;
const LOOP_CONFIGURE = 0x4c0an;
const LOOP_CTL_GET_FREE = 0x4c82n;
/** The device goes by itself when its last user does. */
const LO_FLAGS_AUTOCLEAR = 4;
const BLKDISCARD = 0x1277n;
const SEEK_END = 2;

const slow = cFunctions({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32", nonblocking: true },
});

/** A loop device. */
export interface LoopDevice extends Disposable {
  /** E.g. `/dev/loop7`. It stays as long as something has it open; disposing this is one user less. */
  readonly path: string;
}

/**
 * A new loop device on a file. It frees itself when it is closed here and nothing else (a mapper device, a mount) uses it.
 *
 * @throws {@linkcode ErrnoError}: `ENOENT` (no such file, or no loop module), `EBUSY` (all are in use).
 */
export function attachLoop(file: string): LoopDevice {
  const fileFd = openAt(AT_FDCWD, byteStringFromText(file), O_RDWR | O_CLOEXEC);
  try {
    const controlFd = openAt(AT_FDCWD, byteStringFromText("/dev/loop-control"), O_RDWR | O_CLOEXEC);
    try {
      // Somebody may take the free one before us.
      for (let attempt = 0;; attempt++) {
        const number = checked(libc.ioctl(controlFd, LOOP_CTL_GET_FREE, 0n), "LOOP_CTL_GET_FREE", "/dev/loop-control");
        const path = `/dev/loop${number}`;
        const fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDWR | O_CLOEXEC);
        const config = new Uint8Array(304);
        const view = new DataView(config.buffer);
        view.setUint32(0, fileFd, true);
        // loop_info64 begins at 8; its flags at 52 of it.
        view.setUint32(8 + 52, LO_FLAGS_AUTOCLEAR, true);
        if (libc.ioctl(fd, LOOP_CONFIGURE, address(config)) === 0) {
          let open = true;
          return {
            path,
            [Symbol.dispose]() {
              if (open) closeFd(fd);
              open = false;
            },
          };
        }
        const error = new ErrnoError("LOOP_CONFIGURE", lastErrno(), path);
        closeFd(fd);
        if (error.errno !== "EBUSY" || attempt > 50) throw error;
      }
    } finally {
      closeFd(controlFd);
    }
  } finally {
    closeFd(fileFd);
  }
}

/** Loop devices whose backing file is `file` (canonical path, as sysfs tells it). */
export function loopsOf(file: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    try {
      if (Deno.readTextFileSync(`/sys/block/${name}/loop/backing_file`).trimEnd() === file) found.push(`/dev/${name}`);
    } catch (error) {
      // Free, or just freed.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found;
}

/** Lets a loop device see that its file has grown. */
export function refreshLoop(path: string): void {
  withDevice(path, O_RDWR, (fd) => checked(libc.ioctl(fd, LOOP_SET_CAPACITY, 0n), "LOOP_SET_CAPACITY", path));
}

/** Frees a loop device now or when its last user goes. */
export function detachLoop(path: string): void {
  try {
    withDevice(path, O_RDONLY, (fd) => checked(libc.ioctl(fd, LOOP_CLR_FD, 0n), "LOOP_CLR_FD", path));
  } catch (error) {
    if (!isErrno(error, "ENXIO", "ENOENT")) throw error;
  }
}

/** Size of a block device or file. */
export function deviceSize_bytes(path: string): number {
  return withDevice(path, O_RDONLY, (fd) => Number(checked(libc.lseek(fd, 0n, SEEK_END), "lseek", path)));
}

/** Whether a block device is used by nobody: neither mounted nor part of another device. */
export function isUnused(path: string): boolean {
  try {
    withDevice(path, O_RDONLY | O_EXCL, () => {});
    return true;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return false;
    throw error;
  }
}

/** Waits until the device has everything on its disk. */
export function flushDevice(path: string): void {
  withDevice(path, O_RDONLY, (fd) => checked(libc.fsync(fd), "fsync", path));
}

/**
 * Tells a device that nobody needs its content any more. On another thread.
 *
 * @returns Whether the device could do that.
 */
export async function discardDevice(path: string, length_bytes: number): Promise<boolean> {
  const fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDWR | O_CLOEXEC);
  try {
    const range = new BigUint64Array([0n, BigInt(length_bytes)]);
    return await slow.ioctl(fd, BLKDISCARD, new Uint8Array(range.buffer)) === 0;
  } finally {
    closeFd(fd);
  }
}

/** Reads `length_bytes` at `offset_bytes`. */
export function readDevice(path: string, offset_bytes: number, length_bytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length_bytes);
  return withDevice(path, O_RDONLY, (fd) => {
    const count = checked(libc.pread(fd, bytes, BigInt(length_bytes), BigInt(offset_bytes)), "pread", path);
    return bytes.subarray(0, Number(count));
  });
}

/** Writes and waits for the disk. */
export function writeDevice(path: string, offset_bytes: number, bytes: Uint8Array<ArrayBuffer>): void {
  withDevice(path, O_RDWR, (fd) => {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      const count = checked(
        libc.pwrite(fd, rest, BigInt(rest.length), BigInt(offset_bytes + done)),
        "pwrite",
        path,
      );
      done += Number(count);
    }
    checked(libc.fsync(fd), "fsync", path);
  });
}

function withDevice<T>(path: string, flags: number, body: (fd: number) => T): T {
  const fd = openAt(AT_FDCWD, byteStringFromText(path), flags | O_CLOEXEC);
  try {
    return body(fd);
  } finally {
    closeFd(fd);
  }
}

function address(buffer: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}

/** What kind of device a path leads to, and its number; `undefined` when it is none, or not there. */
export function deviceNumber(path: string): { type: "b" | "c"; major: number; minor: number } | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
  if (info.rdev === null || (!info.isBlockDevice && !info.isCharDevice)) return undefined;
  const number = BigInt(info.rdev);
  return {
    type: info.isBlockDevice ? "b" : "c",
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    minor: Number((number & 0xffn) | ((number >> 12n) & ~0xffn)),
  };
}
