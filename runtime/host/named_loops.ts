/**
 * Loop devices that stay until they are detached, whoever has them open, and are found again by a name: what a raw block
 * volume in a file is shown through. The name is in the kernel with the device, so it survives restarts of the daemon
 * and is gone with the machine's.
 */
import { byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { detachLoop, loopsOf } from "./block_devices.ts";
import { closeFd, openAt } from "./fs_calls.ts";
import { checked, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";
import { AT_FDCWD, O_RDONLY, O_RDWR } from "./openat2.ts";

const LOOP_GET_STATUS64 = 0x4c05n;
const LOOP_CONFIGURE = 0x4c0an;
const LOOP_CTL_GET_FREE = 0x4c82n;
const LO_FLAGS_READ_ONLY = 1;
/** Of `lo_file_name` in `loop_info64`, which only people ever look at. */
const NAME_OFFSET = 56;
const NAME_BYTES = 63;
const INFO_BYTES = 232;
/** `loop_info64` in `loop_config`, after `fd` and `block_size`. */
const INFO_OFFSET = 8;

/**
 * The loop device of this name, made on `file` where there is none.
 *
 * @param name ASCII, at most 63 characters.
 * @param file Canonical path; a block device will do, too.
 * @param options `beside`: name of a device that may be there as well. Only one of the two may be written to; what is
 * read through the other may be older than what was written, unless it is read directly (`O_DIRECT`).
 * @throws `CONFLICT` when the file is shown through a loop device of another name: each would cache it by itself.
 * @throws {@linkcode ErrnoError}
 */
export function attachNamedLoop(
  name: string,
  file: string,
  options: { readonly read_only: boolean; readonly beside?: string },
): string {
  const [existing] = namedLoops(name);
  if (existing !== undefined) return existing;
  const [other] = loopsOf(file).filter((path) => options.beside === undefined || nameOf(path) !== options.beside);
  if (other !== undefined) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot show ${file} as a block device: ${other} does that already. Detach it first (losetup -d ${other})`,
      { details: { path: file, device: other } },
    );
  }
  const fileFd = openAt(AT_FDCWD, byteStringFromText(file), options.read_only ? O_RDONLY : O_RDWR);
  try {
    const control = openAt(AT_FDCWD, byteStringFromText("/dev/loop-control"), O_RDWR);
    try {
      // Somebody may take the free one before us.
      for (let attempt = 0;; attempt++) {
        const number = checked(libc.ioctl(control, LOOP_CTL_GET_FREE, 0n), "LOOP_CTL_GET_FREE", "/dev/loop-control");
        const path = `/dev/loop${number}`;
        if (configure(path, fileFd, name, options.read_only)) return path;
        if (attempt > 50) throw new ErrnoError("LOOP_CONFIGURE", 16, path);
      }
    } finally {
      closeFd(control);
    }
  } finally {
    closeFd(fileFd);
  }
}

/** Frees the loop devices of this name, now or when their last user goes. None: success. */
export function detachNamedLoop(name: string): void {
  for (const path of namedLoops(name)) detachLoop(path);
}

/** Those of this name. */
export function namedLoops(name: string): string[] {
  const found: string[] = [];
  for (const { name: block } of Deno.readDirSync("/sys/block")) {
    if (/^loop\d+$/.test(block) && nameOf(`/dev/${block}`) === name) found.push(`/dev/${block}`);
  }
  return found;
}

function configure(path: string, fileFd: number, name: string, readOnly: boolean): boolean {
  const fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDWR);
  try {
    const config = new Uint8Array(304);
    const view = new DataView(config.buffer);
    view.setUint32(0, fileFd, true);
    view.setUint32(INFO_OFFSET + 52, readOnly ? LO_FLAGS_READ_ONLY : 0, true);
    config.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES), INFO_OFFSET + NAME_OFFSET);
    if (libc.ioctl(fd, LOOP_CONFIGURE, address(config)) === 0) return true;
    const error = new ErrnoError("LOOP_CONFIGURE", lastErrno(), path);
    if (error.errno !== "EBUSY") throw error;
    return false;
  } finally {
    closeFd(fd);
  }
}

function nameOf(path: string): string | undefined {
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, byteStringFromText(path), O_RDONLY);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENXIO", "EBUSY")) return undefined;
    throw error;
  }
  try {
    const info = new Uint8Array(INFO_BYTES);
    // ENXIO: it is free.
    if (libc.ioctl(fd, LOOP_GET_STATUS64, address(info)) !== 0) return undefined;
    const bytes = info.subarray(NAME_OFFSET, NAME_OFFSET + NAME_BYTES + 1);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  } finally {
    closeFd(fd);
  }
}

function address(buffer: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
