/** Storage options of the devicemapper driver. Pure. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { parseSize } from "../../../runtime/core/size_text.ts";
import { refuseUnknownOptions } from "../driver_factory.ts";
import { POOL_BYTES_MIN } from "./pool_layout.ts";

/** File systems that snapshots may have. */
export type ThinFileSystem = "ext4" | "xfs";

/** Where the pool is. */
export type PoolBacking =
  | { readonly kind: "loop"; readonly size_bytes: number; readonly max_bytes: number }
  | { readonly kind: "device"; readonly path: string }
  | { readonly kind: "lvm"; readonly group: string; readonly volume: string };

/** The options, parsed. */
export interface DevicemapperSettings {
  readonly backing: PoolBacking;
  readonly fs: ThinFileSystem;
  /** Size of the file system of a snapshot without a limit of its own. */
  readonly base_bytes: number;
  /** Below this nothing new is made. */
  readonly minFree_percent: number;
  /** Blocks that a file system frees go back to the pool at once. */
  readonly discard: boolean;
}

const KNOWN = ["device", "thinpool", "loop_size", "loop_max_size", "fs", "base_size", "min_free_percent", "discard"];
const DEFAULT_BASE_BYTES = 10 * 2 ** 30;
const DEFAULT_LOOP_MAX_BYTES = 100 * 2 ** 30;
/** Below these mkfs refuses, or there is hardly room for a journal. */
const BASE_BYTES_MIN: Readonly<Record<ThinFileSystem, number>> = { ext4: 16 << 20, xfs: 300 << 20 };

/**
 * @throws `INVALID_ARGUMENT` with the option's name; `UNSUPPORTED` when none says where the pool is.
 */
export function parseDevicemapperOptions(options: Readonly<Record<string, string>>): DevicemapperSettings {
  refuseUnknownOptions("devicemapper", options, KNOWN.map((name) => `devicemapper.${name}`));
  const text = (name: string) => options[`devicemapper.${name}`];
  const fs = choice(options, "fs", ["ext4", "xfs"]) ?? "ext4";
  const base_bytes = size(options, "base_size", BASE_BYTES_MIN[fs]) ?? DEFAULT_BASE_BYTES;
  const percent = text("min_free_percent") ?? "10";
  if (!/^\d{1,2}$/.test(percent) || Number(percent) > 90) {
    throw refused("min_free_percent", percent, "a whole number from 0 to 90");
  }
  return {
    backing: backingOf(options),
    fs,
    base_bytes,
    minFree_percent: Number(percent),
    discard: choice(options, "discard", ["on", "off"]) !== "off",
  };
}

function backingOf(options: Readonly<Record<string, string>>): PoolBacking {
  const given = ["device", "thinpool", "loop_size"].filter((name) => options[`devicemapper.${name}`] !== undefined);
  if (given.length === 0) {
    throw new LaminaError(
      "UNSUPPORTED",
      "Cannot use the storage driver devicemapper: it is not said where its pool is. Give --storage-opt " +
        "devicemapper.thinpool=GROUP/POOL, devicemapper.device=/dev/… or, for a trial, devicemapper.loop_size=SIZE",
    );
  }
  if (given.length > 1) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot use devicemapper.${given[0]} together with devicemapper.${given[1]}: a pool is in one place. Give one`,
    );
  }
  const value = options[`devicemapper.${given[0]}`]!;
  if (given[0] !== "loop_size" && options["devicemapper.loop_max_size"] !== undefined) {
    throw refused("loop_max_size", options["devicemapper.loop_max_size"], "given together with devicemapper.loop_size");
  }
  if (given[0] === "device") {
    if (!value.startsWith("/dev/") || value.includes("\0")) {
      throw refused("device", value, "the path of a block device below /dev");
    }
    return { kind: "device", path: value };
  }
  if (given[0] === "thinpool") {
    const match = /^([A-Za-z0-9+_.-]{1,127})\/([A-Za-z0-9+_.-]{1,127})$/.exec(value);
    if (match === null) {
      throw refused("thinpool", value, "GROUP/POOL, the names of an LVM volume group and a thin pool");
    }
    return { kind: "lvm", group: match[1]!, volume: match[2]! };
  }
  const size_bytes = size(options, "loop_size", POOL_BYTES_MIN)!;
  const max_bytes = size(options, "loop_max_size", size_bytes) ?? Math.max(size_bytes, DEFAULT_LOOP_MAX_BYTES);
  return { kind: "loop", size_bytes, max_bytes };
}

function size(options: Readonly<Record<string, string>>, name: string, min_bytes: number): number | undefined {
  const value = options[`devicemapper.${name}`];
  if (value === undefined) return undefined;
  const size_bytes = parseSize(value);
  const wanted = `a size of at least ${Math.ceil(min_bytes / 2 ** 20)}m, such as ${Math.ceil(min_bytes / 2 ** 30)}g`;
  if (size_bytes === undefined || size_bytes < min_bytes) throw refused(name, value, wanted);
  // Whole MiB: every unit below divides it.
  return Math.floor(size_bytes / 2 ** 20) * 2 ** 20;
}

function choice<T extends string>(
  options: Readonly<Record<string, string>>,
  name: string,
  known: readonly T[],
): T | undefined {
  const value = options[`devicemapper.${name}`];
  if (value === undefined || known.includes(value as T)) return value as T | undefined;
  throw refused(name, value, known.join(" or "));
}

function refused(name: string, value: string, wanted: string): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot use the storage option devicemapper.${name}=${value.slice(0, 80)}: it has to be ${wanted}`,
  );
}
