/** Where a pool of our own lies: a loop file or a block device. Opening, its label, growing. */
import { join } from "@std/path/posix";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  attachLoop,
  deviceSize_bytes,
  isUnused,
  type LoopDevice,
  loopsOf,
  readDevice,
  refreshLoop,
  writeDevice,
} from "../../../runtime/host/block_devices.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { syncDirectory, syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import type { PoolBacking } from "./options.ts";
import {
  encodeLabel,
  HEADER_BYTES,
  LABEL_BYTES,
  LABEL_OFFSETS_BYTES,
  POOL_BYTES_MIN,
  type PoolLabel,
} from "./pool_layout.ts";

/** A block device that holds a pool, its metadata and its label. */
export interface PoolPlace extends Disposable {
  /** The block device. */
  readonly path: string;
  /** What people call it: the device, or the file behind a loop device. */
  readonly shown: string;
  size_bytes(): number;
  /** Makes it longer; absent where it cannot be. Returns the new size, the old one when there is no room. */
  readonly grow?: (wanted_bytes: number) => Promise<number>;
  /** Bytes that it may still take from the file system it is on; infinite for a device. */
  hostRoom_bytes(): number;
}

/** @throws `UNAVAILABLE` (the device is not there), `DATA_LOSS` (the file is gone), `RESOURCE_EXHAUSTED`, `CONFLICT`. */
export async function openPlace(
  backing: Exclude<PoolBacking, { kind: "lvm" }>,
  directory: string,
  holdsData: boolean,
): Promise<PoolPlace> {
  return backing.kind === "loop" ? await openLoop(backing, directory, holdsData) : openDevice(backing.path);
}

/** Both copies of the label, the older one first, so that one of them is whole at any instant. */
export function writeLabel(path: string, label: PoolLabel): void {
  const bytes = encodeLabel(label);
  try {
    writeDevice(path, LABEL_OFFSETS_BYTES[label.sequence % 2]!, bytes);
  } catch (error) {
    throw hostError(error, `Cannot write the pool's label on ${path}`);
  }
}

/** The copies of the label as they are. */
export function readLabel(path: string): Uint8Array[] {
  try {
    return LABEL_OFFSETS_BYTES.map((offset) => readDevice(path, offset, LABEL_BYTES));
  } catch (error) {
    throw hostError(error, `Cannot read the pool's label on ${path}`);
  }
}

/** Whether nobody has anything on a device, as far as its ends tell: file systems, partition tables, LVM, RAID. */
export function isBlank(path: string): boolean {
  const size_bytes = deviceSize_bytes(path);
  const tail_bytes = Math.min(1 << 20, size_bytes);
  const ends = [
    readDevice(path, 0, Math.min(HEADER_BYTES, size_bytes)),
    readDevice(path, size_bytes - tail_bytes, tail_bytes),
  ];
  return ends.every(isZero);
}

async function openLoop(
  backing: Extract<PoolBacking, { kind: "loop" }>,
  directory: string,
  holdsData: boolean,
): Promise<PoolPlace> {
  const file = join(directory, "pool.img");
  const found = await Deno.stat(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw hostError(error, `Cannot open the pool's file ${file}`);
  });
  if (found === undefined) await makeFile(file, directory, backing.size_bytes, holdsData);
  else if (found.size < POOL_BYTES_MIN) {
    throw new LaminaError(
      holdsData ? "DATA_LOSS" : "CONFLICT",
      `Cannot open the pool's file ${file}: it has ${found.size} bytes, a pool needs ${POOL_BYTES_MIN} at least. ` +
        "It was cut off. Restore it from a backup, or delete it to start anew",
      { details: { path: file } },
    );
  }
  const [existing] = loopsOf(file);
  let loop: LoopDevice;
  try {
    loop = existing === undefined ? attachLoop(file) : { path: existing, [Symbol.dispose]() {} };
  } catch (error) {
    throw hostError(error, `Cannot make a loop device for ${file}. Is the kernel's module "loop" loaded?`);
  }
  return {
    path: loop.path,
    shown: file,
    size_bytes: () => deviceSize_bytes(loop.path),
    async grow(wanted_bytes) {
      const now_bytes = (await Deno.stat(file)).size;
      const next_bytes = Math.min(wanted_bytes, backing.max_bytes);
      if (next_bytes <= now_bytes) return now_bytes;
      try {
        await Deno.truncate(file, next_bytes);
        await syncFileSystem(directory);
        refreshLoop(loop.path);
        return next_bytes;
      } catch (error) {
        throw hostError(error, `Cannot extend the pool's file ${file} to ${next_bytes} bytes`);
      }
    },
    hostRoom_bytes: () => fileSystemStatus(directory).available_bytes,
    [Symbol.dispose]: () => loop[Symbol.dispose](),
  };
}

async function makeFile(file: string, directory: string, size_bytes: number, holdsData: boolean): Promise<void> {
  if (holdsData) {
    throw new LaminaError("DATA_LOSS", `Cannot open the pool's file ${file}: it is gone. Restore it from a backup`, {
      details: { path: file },
    });
  }
  try {
    using made = await Deno.open(file, { write: true, createNew: true, mode: 0o600 });
    await made.truncate(size_bytes);
    await made.sync();
    await syncDirectory(directory);
  } catch (error) {
    throw hostError(error, `Cannot make the pool's file ${file}`, { path: file });
  }
}

async function openDevice(path: string): Promise<PoolPlace> {
  let real: string;
  try {
    real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isBlockDevice !== true) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot make a pool on ${path}: it is no block device`);
    }
  } catch (error) {
    if (error instanceof LaminaError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new LaminaError(
        "UNAVAILABLE",
        `Cannot open the pool on ${path}: the device is not there. Attach it and start again`,
        { cause: error, details: { device: path } },
      );
    }
    throw hostError(error, `Cannot open the pool on ${path}`);
  }
  return {
    path: real,
    shown: path,
    size_bytes: () => deviceSize_bytes(real),
    hostRoom_bytes: () => Infinity,
    [Symbol.dispose]() {},
  };
}

/** @throws `CONFLICT` when the device is mounted or part of another one. */
export function refuseUsed(place: PoolPlace): void {
  let unused: boolean;
  try {
    unused = isUnused(place.path);
  } catch (error) {
    throw hostError(error, `Cannot open the pool on ${place.shown}`);
  }
  if (unused) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot open the pool on ${place.shown}: the device is in use (mounted, or part of another device). Free it, or ` +
      "name another one",
    { details: { device: place.shown } },
  );
}

/** Eight bytes at a time: a MiB of single ones takes a slow processor a quarter of a second. */
function isZero(bytes: Uint8Array<ArrayBuffer>): boolean {
  const words = new BigUint64Array(bytes.buffer, 0, bytes.length >> 3);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return bytes.subarray(words.length * 8).every((byte) => byte === 0);
}
