/**
 * Limits of RW layers in directories, by the project quotas of xfs and ext4. Each limited snapshot has a project of its
 * own; which one, its directories say. The projects of a root are a range that no other root on the same file system
 * has (`DRIVER/projects` holds its first).
 *
 * The database says what the limits are. What the file system has in its records is made to agree at each start.
 */
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { writeFileDurably } from "../../runtime/host/durable.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { inUserNamespace } from "../../runtime/host/host_facts.ts";
import { isErrno } from "../../runtime/host/libc.ts";
import {
  listProjects,
  projectOf,
  projectQuotaState,
  projectUsage,
  setProject,
  setProjectLimit,
} from "../../runtime/host/project_quota.ts";
import type { DriverNeed } from "./driver_factory.ts";
import type { RepairableFinding } from "./snapshot_trees.ts";
import type { LimitedSnapshot, SnapshotLimit, TreeLimits } from "./tree_limits.ts";

/** Whether limits can be enforced in a directory, and why or why not, in a clause. */
export interface ProjectQuotaFacts {
  readonly enforced: boolean;
  readonly why: string;
  /** What would make it possible. */
  readonly needs: readonly DriverNeed[];
}

/**
 * What an overlay mount needs free to make its work directory anew. Without it the kernel mounts read-only and says so
 * in its log alone: a container that is full could never be emptied.
 */
const MOUNT_RESERVE = { bytes: 512 << 10, inodes: 16 };
/** How long a full snapshot has the reserve. */
const MOUNT_RESERVE_MS = 10_000;
/** Full snapshots that are mounted again and again get no further than this over their limit. */
const MOST_RESERVES = 8;

/** How many projects a root has at a time. */
const RANGE = 1 << 16;
/** Where the ranges begin: far from the small numbers that people choose. */
const FIRST_RANGE = 0x4000_0000;
const RANGES = 1 << 14;

/**
 * Asks the file system of `directory` (absolute, existing).
 *
 * @param writers `overlay`: what is limited is only written through overlay mounts, which give up the right to pass
 * limits. `anybody`: also root itself, which ext4 lets pass.
 */
export function probeProjectQuota(directory: string, writers: "overlay" | "anybody"): ProjectQuotaFacts {
  const { type } = fileSystemStatus(directory);
  const no = (why: string, needs: readonly DriverNeed[] = []) => ({ enforced: false, why, needs });
  if (inUserNamespace()) return no("projects cannot be set in a user namespace");
  const state = projectQuotaState(directory);
  if (state === "enforced") {
    const { projectId, inherited } = projectOf(directory);
    if (inherited) return no(`the root is in project ${projectId} itself, and projects do not nest`);
    if (type !== "xfs" && writers === "anybody") return no(`${type} lets root write past the limits of projects`);
    return { enforced: true, why: `project quotas of ${type}, space and inodes`, needs: [] };
  }
  if (type === "xfs") {
    return no("xfs is mounted without project quotas", [
      { mountOption: "prjquota", kernelOption: "CONFIG_XFS_QUOTA" },
    ]);
  }
  if (type === "ext4") {
    const need = { package: "quota", kernelOption: "CONFIG_QUOTA, CONFIG_QFMT_V2", mountOption: "prjquota" };
    return state === "accounted"
      ? no("ext4 counts the use of projects but is mounted without limits", [{ mountOption: "prjquota" }])
      : no("ext4 has no project quotas here (tune2fs -O quota,project -Q prjquota, unmounted)", [need]);
  }
  return no(`${type} has no project quotas`);
}

/** See the head of the file. All calls are synchronous and cost microseconds. */
export class ProjectLimits implements TreeLimits {
  readonly #directory: string;
  #first = 0;
  #last = 0;
  readonly #lent = new Map<number, { readonly timer: number; readonly takeBack: () => void }>();
  /** Given by this process and not taken back: their rows may still be to come. */
  readonly #given = new Set<number>();

  /** @param directory The driver's own. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Called once, first: gives each snapshot the limit that its row says and takes away the limits of all others. */
  async recover(snapshots: readonly LimitedSnapshot[]): Promise<void> {
    this.#first = this.#last = await this.#range();
    try {
      for (const snapshot of snapshots) {
        const projectId = this.#projectOf(snapshot.directories[0]!);
        // Without one its limit is gone, with what else of the directory's attributes: `check` tells.
        if (projectId === undefined) continue;
        for (const directory of snapshot.directories.slice(1)) {
          if (this.#projectOf(directory) !== projectId) setProject(directory, projectId);
        }
        if (!this.#agrees(projectId, snapshot)) this.#set(projectId, snapshot);
      }
      for (const projectId of this.#stale(snapshots)) this.#set(projectId, {});
    } catch (error) {
      throw hostError(error, `Cannot bring the project quotas of ${this.#directory} in order`);
    }
  }

  /**
   * Puts new and empty directories under one limit; what is made in them counts.
   *
   * @throws `RESOURCE_EXHAUSTED` when all projects of this root are in use; what setting attributes throws.
   */
  limit(directories: readonly string[], limit: SnapshotLimit): void {
    const projectId = this.#give();
    try {
      this.#set(projectId, limit);
      for (const directory of directories) setProject(directory, projectId);
    } catch (error) {
      this.#given.delete(projectId);
      throw hostError(error, `Cannot limit ${directories[0]}`);
    }
  }

  /** Changes the limit in space of directories that have one. @throws `INVALID_ARGUMENT` for less than they take. */
  change(directory: string, limit_bytes: number): void {
    const projectId = this.#projectOf(directory);
    if (projectId === undefined) {
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot limit ${directory}: it was made without a limit, and what is in it would not count. Give the limit ` +
          "when the container is made",
      );
    }
    const { used_bytes, limit_inodes } = projectUsage(this.#directory, projectId);
    if (limit_bytes < used_bytes) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot limit ${directory} to ${limit_bytes} bytes: it takes ${used_bytes} already. Delete something first`,
      );
    }
    this.#set(projectId, { limit_bytes, limit_inodes });
  }

  /** Lends a snapshot that is full what its next mount needs, for a few seconds. */
  lendForMount(directory: string, limit: SnapshotLimit): void {
    const projectId = this.#projectOf(directory);
    if (projectId === undefined) return;
    const used = projectUsage(this.#directory, projectId);
    const limit_bytes = lent(limit.limit_bytes, used.used_bytes, MOUNT_RESERVE.bytes);
    const limit_inodes = lent(limit.limit_inodes, used.used_inodes, MOUNT_RESERVE.inodes);
    if (limit_bytes === limit.limit_bytes && limit_inodes === limit.limit_inodes) return;
    this.#set(projectId, { limit_bytes, limit_inodes });
    clearTimeout(this.#lent.get(projectId)?.timer);
    const takeBack = () => {
      this.#lent.delete(projectId);
      // Removed, committed or limited anew meanwhile: then this limit is not ours any more.
      const now = projectUsage(this.#directory, projectId);
      if (now.limit_bytes === (limit_bytes ?? 0) && now.limit_inodes === (limit_inodes ?? 0)) {
        this.#set(projectId, limit);
      }
    };
    const timer = setTimeout(takeBack, MOUNT_RESERVE_MS);
    Deno.unrefTimer(timer);
    this.#lent.set(projectId, { timer, takeBack });
  }

  /** Takes back what is lent. */
  close(): void {
    for (const { timer, takeBack } of [...this.#lent.values()]) {
      clearTimeout(timer);
      takeBack();
    }
  }

  /** Takes the limit of a directory away, if it has one. The directory may be gone. */
  lift(directory: string): void {
    const projectId = this.#projectOf(directory);
    if (projectId === undefined) return;
    this.#set(projectId, {});
    this.#given.delete(projectId);
  }

  /** Snapshots whose limit is not in force, and limits of nothing. */
  check(snapshots: readonly LimitedSnapshot[]): RepairableFinding[] {
    const wrong = snapshots.flatMap((snapshot): RepairableFinding[] => {
      const [tree] = snapshot.directories;
      const projectId = this.#projectOf(tree!);
      if (projectId !== undefined && this.#agrees(projectId, snapshot)) return [];
      return [{
        kind: "missing-limit",
        object: tree!,
        message: projectId === undefined
          ? `The snapshot "${snapshot.key}" has lost its project, and so its limit. Copy what matters into a new container`
          : `The limit of the snapshot "${snapshot.key}" is not in force`,
        repairable: projectId !== undefined,
        ...(projectId === undefined ? {} : { repair: () => Promise.resolve(this.#set(projectId, snapshot)) }),
      }];
    });
    const stale = this.#stale(snapshots).map((projectId): RepairableFinding => ({
      kind: "stale-limit",
      object: `project ${projectId}`,
      message: `Project ${projectId} of the file system of ${this.#directory} has a limit and belongs to no snapshot`,
      repairable: true,
      repair: () => Promise.resolve(this.#set(projectId, {})),
    }));
    return [...wrong, ...stale];
  }

  /** Projects of this root that have a limit and no snapshot. */
  #stale(snapshots: readonly LimitedSnapshot[]): number[] {
    const used = new Set(snapshots.map(({ directories }) => this.#projectOf(directories[0]!)));
    return [...listProjects(this.#directory, this.#first, this.#first + RANGE - 1)]
      .filter(({ limit_bytes, limit_inodes }) => limit_bytes > 0 || limit_inodes > 0)
      .map(({ projectId }) => projectId)
      .filter((projectId) => !used.has(projectId) && !this.#given.has(projectId));
  }

  /** The project of this root that a directory has. */
  #projectOf(directory: string): number | undefined {
    try {
      const { projectId } = projectOf(directory);
      return projectId >= this.#first && projectId < this.#first + RANGE ? projectId : undefined;
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw hostError(error, `Cannot read the project of ${directory}`);
    }
  }

  #agrees(projectId: number, limit: SnapshotLimit): boolean {
    const found = projectUsage(this.#directory, projectId);
    // What is lent comes back by itself.
    if (this.#lent.has(projectId)) return true;
    return found.limit_bytes === Math.ceil((limit.limit_bytes ?? 0) / 1024) * 1024 &&
      found.limit_inodes === (limit.limit_inodes ?? 0);
  }

  #set(projectId: number, { limit_bytes = 0, limit_inodes = 0 }: SnapshotLimit): void {
    try {
      setProjectLimit(this.#directory, projectId, { limit_bytes, limit_inodes });
    } catch (error) {
      throw hostError(error, `Cannot set the limit of project ${projectId} on the file system of ${this.#directory}`);
    }
  }

  /** A project that nothing has: what was deleted a moment ago may still be counted. */
  #give(): number {
    for (let tries = 0; tries < RANGE; tries++) {
      this.#last = this.#first + (this.#last - this.#first + 1) % RANGE;
      if (this.#given.has(this.#last)) continue;
      const { limit_bytes, limit_inodes, used_bytes, used_inodes } = projectUsage(this.#directory, this.#last);
      if (limit_bytes + limit_inodes + used_bytes + used_inodes > 0) continue;
      this.#given.add(this.#last);
      return this.#last;
    }
    throw new LaminaError("RESOURCE_EXHAUSTED", `Cannot limit more than ${RANGE} snapshots in ${this.#directory}`);
  }

  async #range(): Promise<number> {
    const path = join(this.#directory, "projects");
    try {
      const first = Number(await Deno.readTextFile(path));
      if (first >= FIRST_RANGE && (first - FIRST_RANGE) % RANGE === 0) return first;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot read ${path}`, { path });
    }
    for (;;) {
      const [random] = crypto.getRandomValues(new Uint32Array(1));
      const first = FIRST_RANGE + (random! % RANGES) * RANGE;
      if (!listProjects(this.#directory, first, first + RANGE - 1).next().done) continue;
      await writeFileDurably(path, String(first));
      return first;
    }
  }
}

/** The limit, or more where less than `reserve` is free. In whole KiB, as the kernel keeps it. */
function lent(limit: number | undefined, used: number, reserve: number): number | undefined {
  if (limit === undefined || limit - used >= reserve) return limit;
  const wanted = Math.min(used, limit + MOST_RESERVES * reserve) + reserve;
  return reserve >= 1024 ? Math.ceil(wanted / 1024) * 1024 : wanted;
}
