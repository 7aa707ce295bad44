/** Quota groups of btrfs (linux/btrfs.h). Failures throw `ErrnoError`. */
import { ioctl, searchTree, slowIoctl } from "./btrfs_calls.ts";
import { isErrno } from "./libc.ts";

const QUOTA_CTL = 0xc0109428n;
const QGROUP_CREATE = 0x4010942an;
const QGROUP_LIMIT = 0x8030942bn;
const QUOTA_RESCAN = 0x4040942cn;
const QUOTA_RESCAN_STATUS = 0x8040942dn;
const ENABLE = 1n;
const ENABLE_SIMPLE = 4n;
const MAX_REFERENCED = 1n;
const MAX_EXCLUSIVE = 2n;
const NO_LIMIT = 0xffff_ffff_ffff_ffffn;
const QUOTA_TREE = 8n;
const STATUS_ITEM = 240;
const INFO_ITEM = 242;
const LIMIT_ITEM = 244;
const le = true;

/** `full`: who shares what is tracked exactly. `simple`: who wrote it first has it for ever (Linux 6.7). */
export type QuotaMode = "off" | "full" | "simple";

/** State of a file system's quotas. */
export interface QuotaState {
  readonly mode: QuotaMode;
  /** The numbers are wrong until a rescan has ended. */
  readonly inconsistent: boolean;
}

/** Reads it. */
export function quotaState(fd: number): QuotaState {
  try {
    for (
      const { data } of searchTree(fd, { tree: QUOTA_TREE, objectIds: [0n, 0n], types: [STATUS_ITEM, STATUS_ITEM] })
    ) {
      // version, generation, flags (1 on, 2 rescan, 4 inconsistent, 8 simple)
      const flags = Number(data.getBigUint64(16, le));
      const mode = (flags & 1) === 0 ? "off" : (flags & 8) !== 0 ? "simple" : "full";
      return { mode, inconsistent: mode === "full" && (flags & 6) !== 0 };
    }
  } catch (error) {
    // There is no such tree before quotas are used for the first time.
    if (!isErrno(error, "ENOENT")) throw error;
  }
  return { mode: "off", inconsistent: false };
}

/** Turns quotas on for the whole file system. `EINVAL`: the kernel does not know that mode. Wants a rescan after. */
export function enableQuota(fd: number, mode: "full" | "simple"): Promise<void> {
  const args = new BigUint64Array([mode === "full" ? ENABLE : ENABLE_SIMPLE, 0n]);
  return slowIoctl(fd, QUOTA_CTL, new Uint8Array(args.buffer), "turn quotas on");
}

/** Begins to count anew, if nobody does yet. */
export function beginRescan(fd: number): void {
  try {
    ioctl(fd, QUOTA_RESCAN, new Uint8Array(64), "count what the quota groups have");
  } catch (error) {
    if (!isErrno(error, "errno 115")) throw error; // EINPROGRESS
  }
}

/** Whether a count is under way. */
export function isRescanning(fd: number): boolean {
  const args = new Uint8Array(64);
  ioctl(fd, QUOTA_RESCAN_STATUS, args, "ask for the quota groups' count");
  return new DataView(args.buffer).getBigUint64(0, le) !== 0n;
}

/** Limits what the subvolume `fd` has alone; `undefined`: no limit. Durable with the next commit. */
export function limitSubvolume(fd: number, limit_bytes: number | undefined): Promise<void> {
  const limit = limit_bytes === undefined ? NO_LIMIT : BigInt(limit_bytes);
  // qgroupid (0: that of the descriptor), flags, max_rfer, max_excl, rsv_rfer, rsv_excl
  const args = new BigUint64Array([0n, MAX_EXCLUSIVE, 0n, limit, 0n, 0n]);
  return slowIoctl(fd, QGROUP_LIMIT, new Uint8Array(args.buffer), `limit a subvolume`);
}

/**
 * Limits all that the subvolume `fd` holds, shared with others or not; `undefined`: no limit. Takes the place of
 * {@linkcode limitSubvolume}. Durable with the next commit.
 */
export function limitReferenced(fd: number, limit_bytes: number | undefined): Promise<void> {
  const limit = limit_bytes === undefined ? NO_LIMIT : BigInt(limit_bytes);
  // A snapshot starts with its source's limits: the other one is taken away.
  const args = new BigUint64Array([0n, MAX_REFERENCED | MAX_EXCLUSIVE, limit, NO_LIMIT, 0n, 0n]);
  return slowIoctl(fd, QGROUP_LIMIT, new Uint8Array(args.buffer), `limit a subvolume`);
}

/** What a quota group says of a subvolume. */
export interface SubvolumeQuota {
  /** Bytes on disk that the subvolume has alone. */
  readonly exclusive_bytes: number;
  /** Limit of that; absent: none. */
  readonly limit_bytes?: number;
  /** Bytes on disk of all that it holds. */
  readonly referenced_bytes?: number;
  /** Limit of that; absent: none. */
  readonly referencedLimit_bytes?: number;
}

/** Every subvolume that is counted, by its id. */
export function subvolumeQuotas(fd: number): Map<bigint, SubvolumeQuota> {
  const quotas = new Map<bigint, SubvolumeQuota>();
  for (
    const { type, offset, data } of searchTree(fd, {
      tree: QUOTA_TREE,
      objectIds: [0n, 0n],
      types: [INFO_ITEM, LIMIT_ITEM],
    })
  ) {
    // generation, rfer, rfer_cmpr, excl, excl_cmpr
    if (type === INFO_ITEM) {
      const [referenced_bytes, exclusive_bytes] = [Number(data.getBigUint64(8, le)), Number(data.getBigUint64(24, le))];
      quotas.set(offset, { exclusive_bytes, referenced_bytes });
    } else if (type === LIMIT_ITEM) {
      // flags, max_rfer, max_excl
      const flags = data.getBigUint64(0, le), limits = [data.getBigUint64(8, le), data.getBigUint64(16, le)] as const;
      const has = (flag: bigint, limit: bigint) => (flags & flag) !== 0n && limit !== NO_LIMIT;
      quotas.set(offset, {
        exclusive_bytes: 0,
        ...quotas.get(offset),
        ...(has(MAX_EXCLUSIVE, limits[1]) ? { limit_bytes: Number(limits[1]) } : {}),
        ...(has(MAX_REFERENCED, limits[0]) ? { referencedLimit_bytes: Number(limits[0]) } : {}),
      });
    }
  }
  return quotas;
}

/** Removes the quota groups of subvolumes that do not exist any more. Their numbers are never given again. */
export function removeStaleGroups(fd: number): void {
  const groups: bigint[] = [];
  for (const { offset } of searchTree(fd, { tree: QUOTA_TREE, objectIds: [0n, 0n], types: [INFO_ITEM, INFO_ITEM] })) {
    // The upper 16 bits are a group's level: those above 0 are people's.
    if (offset >> 48n === 0n && offset >= FIRST_SUBVOLUME) groups.push(offset);
  }
  for (const group of groups) {
    if (subvolumeExists(fd, group)) continue;
    try {
      ioctl(fd, QGROUP_CREATE, new Uint8Array(new BigUint64Array([0n, group]).buffer), `remove the group 0/${group}`);
    } catch (error) {
      // Not yet: the subvolume is still being freed. Or the kernel was faster.
      if (!isErrno(error, "EBUSY", "ENOENT")) throw error;
    }
  }
}

const FIRST_SUBVOLUME = 256n;
const ROOT_ITEM = 132;

function subvolumeExists(fd: number, id: bigint): boolean {
  const range = { tree: 1n, objectIds: [id, id], types: [ROOT_ITEM, ROOT_ITEM] } as const;
  return searchTree(fd, range).next().done !== true;
}
