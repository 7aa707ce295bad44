/** What the kernel and thin-provisioning-tools say about a thin pool, as text. Pure. */

/** State of a pool. */
export interface PoolStatus {
  /** Number that its users keep in its metadata. */
  readonly transactionId: number;
  /** Of 4,096 bytes. */
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
  /** Of the pool's block size. */
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  /** `ro`: the kernel changes nothing any more after an error in the metadata. */
  readonly mode: "rw" | "ro" | "out_of_data_space";
  /** The kernel wants `thin_check` before anything is changed. */
  readonly needsCheck: boolean;
}

/**
 * The status line of a `thin-pool` target.
 *
 * @returns `failed` for a pool that the kernel has given up (`Fail`, `Error`), `undefined` for anything unknown.
 */
export function parsePoolStatus(text: string): PoolStatus | "failed" | undefined {
  const words = text.trim().split(/\s+/);
  if (words[0] === "Fail" || words[0] === "Error") return "failed";
  const metadata = /^(\d+)\/(\d+)$/.exec(words[1] ?? "");
  const data = /^(\d+)\/(\d+)$/.exec(words[2] ?? "");
  const mode = words.find((word) => word === "rw" || word === "ro" || word === "out_of_data_space");
  if (!/^\d+$/.test(words[0] ?? "") || metadata === null || data === null || mode === undefined) return undefined;
  return {
    transactionId: Number(words[0]),
    usedMetadataBlocks: Number(metadata[1]),
    totalMetadataBlocks: Number(metadata[2]),
    usedDataBlocks: Number(data[1]),
    totalDataBlocks: Number(data[2]),
    mode: mode as PoolStatus["mode"],
    needsCheck: words.includes("needs_check"),
  };
}

/** Parts of a `thin-pool` table line: devices as `MAJOR:MINOR`, sectors of a block, the words after the low-water mark. */
export interface PoolTable {
  readonly metadata: string;
  readonly data: string;
  readonly blockSectors: number;
  readonly features: readonly string[];
}

/** The table line of a `thin-pool` target. */
export function parsePoolTable(text: string): PoolTable | undefined {
  const [metadata, data, block, , count, ...features] = text.trim().split(/\s+/);
  if (metadata === undefined || data === undefined || !/^\d+$/.test(block ?? "")) return undefined;
  return { metadata, data, blockSectors: Number(block), features: features.slice(0, Number(count ?? 0)) };
}

/** Thin device ids of `thin_ls --no-headers -o DEV`. */
export function parseThinList(text: string): number[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => /^\d+$/.test(line)).map(Number);
}

/** Name of the device of an LVM logical volume: a `-` in a name is doubled. */
export function lvmDeviceName(group: string, volume: string): string {
  return `${group.replaceAll("-", "--")}-${volume.replaceAll("-", "--")}`;
}
