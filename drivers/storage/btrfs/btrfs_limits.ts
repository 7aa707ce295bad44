/** Limits of subvolumes by quota groups: how much a container's subvolume may have that its image does not have. */
import { join } from "@std/path/posix";
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { isSubvolumeTop, subvolumeInfo, withDirectory } from "../../../runtime/host/btrfs_calls.ts";
import {
  beginRescan,
  enableQuota,
  isRescanning,
  limitSubvolume,
  quotaState,
  removeStaleGroups,
  type SubvolumeQuota,
  subvolumeQuotas,
} from "../../../runtime/host/btrfs_quota.ts";
import { syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { closeFd, openDirectoryAt } from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { AT_FDCWD } from "../../../runtime/host/openat2.ts";
import type { RepairableFinding } from "../snapshot_trees.ts";
import type { LimitedSnapshot, SnapshotLimit, TreeLimits } from "../tree_limits.ts";

/** How the root's file system counts, as asked for. */
export type QuotaSetting = "on" | "simple";

/** Turns quotas on where they are off, and waits until what is there has been counted. */
export async function openLimits(directory: string, setting: QuotaSetting, operation: Operation): Promise<BtrfsLimits> {
  const attempted = `Cannot turn on the quotas of the btrfs of ${directory}`;
  const mode = setting === "on" ? "full" : "simple";
  try {
    await withDirectory(byteStringFromText(directory), async (fd) => {
      const { mode: found } = quotaState(fd);
      if (found === "off") {
        await enableQuota(fd, mode);
        await syncFileSystem(directory);
      } else if (found !== mode) {
        throw new LaminaError(
          "CONFLICT",
          `${attempted}: they are on already, and ${found === "full" ? "full" : "simple"} ones. Use ` +
            `btrfs.quota=${found === "full" ? "on" : "simple"}, or turn those off (btrfs quota disable)`,
        );
      }
    });
  } catch (error) {
    if (isErrno(error, "EINVAL", "EOPNOTSUPP")) {
      throw new LaminaError("UNSUPPORTED", `${attempted}: this kernel does not know btrfs.quota=${setting}`, {
        cause: error,
      });
    }
    throw hostError(error, attempted);
  }
  const limits = new BtrfsLimits(directory);
  await limits.count(operation);
  return limits;
}

/** See the head of the file. */
export class BtrfsLimits implements TreeLimits {
  /** @param directory Some directory on the file system, absolute. */
  constructor(readonly directory: string) {}

  /** Waits until the numbers are right. What is deleted in big pieces may make the kernel lose count. */
  async count(operation: Operation): Promise<void> {
    try {
      await withDirectory(byteStringFromText(this.directory), async (fd) => {
        if (!quotaState(fd).inconsistent) return;
        beginRescan(fd);
        while (isRescanning(fd)) {
          operation.signal.throwIfAborted();
          await new Promise((resolve) => setTimeout(resolve, RESCAN_LOOK_MS));
        }
      });
    } catch (error) {
      throw hostError(error, `Cannot count what the subvolumes of ${this.directory} take`);
    }
  }

  async recover(snapshots: readonly LimitedSnapshot[]): Promise<void> {
    for (const snapshot of this.#wrong(snapshots)) await this.limit(snapshot.directories, snapshot);
    for (const tree of this.#stale(snapshots)) await this.lift(tree);
  }

  async limit([tree]: readonly string[], { limit_bytes }: SnapshotLimit): Promise<void> {
    try {
      await withDirectory(byteStringFromText(tree!), (fd) => limitSubvolume(fd, limit_bytes!));
    } catch (error) {
      throw hostError(error, `Cannot limit the subvolume ${tree} to ${limit_bytes} bytes`);
    }
  }

  async change(tree: string, limit_bytes: number): Promise<void> {
    try {
      // What is still to be written is not counted before.
      await syncFileSystem(tree);
      await withDirectory(byteStringFromText(tree), async (fd) => {
        const { exclusive_bytes } = subvolumeQuotas(fd).get(subvolumeInfo(fd).id) ?? { exclusive_bytes: 0 };
        if (exclusive_bytes > limit_bytes) {
          throw new LaminaError(
            "INVALID_ARGUMENT",
            `Cannot limit ${tree} to ${limit_bytes} bytes: it takes ${exclusive_bytes} already. Delete something first`,
          );
        }
        await limitSubvolume(fd, limit_bytes);
      });
      await syncFileSystem(tree);
    } catch (error) {
      throw hostError(error, `Cannot limit the subvolume ${tree} to ${limit_bytes} bytes`);
    }
  }

  /** Snapshots inherit the limits of what they are made of: a committed tree must have none. */
  async lift(tree: string): Promise<void> {
    try {
      await withDirectory(byteStringFromText(tree), (fd) => limitSubvolume(fd, undefined));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ENOTTY")) return;
      throw hostError(error, `Cannot take the limit of ${tree} away`);
    }
  }

  check(snapshots: readonly LimitedSnapshot[]): RepairableFinding[] {
    const wrong = this.#wrong(snapshots).map((snapshot) => ({
      kind: "missing-limit",
      object: snapshot.directories[0]!,
      message: `The limit of the snapshot "${snapshot.key}" is not in force`,
      repairable: true,
      repair: () => this.limit(snapshot.directories, snapshot),
    }));
    const stale = this.#stale(snapshots).map((tree) => ({
      kind: "stale-limit",
      object: tree,
      message: "This subvolume has a limit that no snapshot asks for",
      repairable: true,
      repair: () => this.lift(tree),
    }));
    return [...wrong, ...stale];
  }

  /** Takes away the quota groups of subvolumes that are gone; one that is still being freed goes the next time. */
  removeStale(): void {
    const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(this.directory));
    try {
      removeStaleGroups(fd);
    } finally {
      closeFd(fd);
    }
  }

  #wrong(snapshots: readonly LimitedSnapshot[]): LimitedSnapshot[] {
    if (snapshots.length === 0) return [];
    const quotas = this.#quotas();
    return snapshots.filter(({ directories, limit_bytes }) => {
      const id = subvolumeAt(directories[0]!);
      return id !== undefined && quotas.get(id)?.limit_bytes !== limit_bytes;
    });
  }

  /** Trees that have a limit and should not. */
  #stale(snapshots: readonly LimitedSnapshot[]): string[] {
    const limited = new Set(snapshots.map(({ directories }) => directories[0]!));
    const quotas = this.#quotas();
    if (![...quotas.values()].some(({ limit_bytes }) => limit_bytes !== undefined)) return [];
    const layers = join(this.directory, "l");
    return [...Deno.readDirSync(layers)].map(({ name }) => join(layers, name, "fs")).filter((tree) => {
      const id = limited.has(tree) ? undefined : subvolumeAt(tree);
      return id !== undefined && quotas.get(id)?.limit_bytes !== undefined;
    });
  }

  #quotas(): Map<bigint, SubvolumeQuota> {
    const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(this.directory));
    try {
      return subvolumeQuotas(fd);
    } finally {
      closeFd(fd);
    }
  }
}

/** Between two looks at a count under way; there is no event for its end that could be waited for with a deadline. */
const RESCAN_LOOK_MS = 50;

/** Id of the subvolume whose top is at `path`, if there is one. */
function subvolumeAt(path: string): bigint | undefined {
  let fd: number;
  try {
    fd = openDirectoryAt(AT_FDCWD, byteStringFromText(path));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    return isSubvolumeTop(fd) ? subvolumeInfo(fd).id : undefined;
  } finally {
    closeFd(fd);
  }
}
