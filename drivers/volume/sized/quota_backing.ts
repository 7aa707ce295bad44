/** Directories limited by the project quotas of xfs and ext4. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { makeDirectoryDurably, syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { canShareFiles } from "../../../runtime/host/image_files.ts";
import { projectOf, projectUsage } from "../../../runtime/host/project_quota.ts";
import type { LayerEngine } from "../../storage/layer/engine.ts";
import type { ProjectLimits } from "../../storage/project_limits.ts";
import type { CopyOptions, SizedBacking, SizedRequest, SizedUsage } from "./port.ts";

/** See the head of the file. */
export class QuotaBacking implements SizedBacking {
  readonly name = "quota";

  /** @param place The place's directory, whose projects `limits` are. */
  constructor(readonly place: string, readonly limits: ProjectLimits, readonly engine: LayerEngine) {}

  async make(path: string, { size_bytes, mode, inodes }: SizedRequest): Promise<{ size_bytes: number }> {
    const limit_bytes = Math.ceil(size_bytes / 1024) * 1024;
    await makeDirectoryDurably(path, mode);
    this.limits.limit([path], { limit_bytes, limit_inodes: inodes });
    // The project is in the directory's inode, the limit in the quota file.
    await syncFileSystem(path);
    return { size_bytes: limit_bytes };
  }

  async grow(path: string, size_bytes: number): Promise<{ size_bytes: number; pending: boolean }> {
    const { capacity_bytes } = this.#usage(path);
    const limit_bytes = Math.ceil(size_bytes / 1024) * 1024;
    if (limit_bytes <= capacity_bytes) return { size_bytes: capacity_bytes, pending: false };
    this.limits.change(path, limit_bytes);
    await syncFileSystem(path);
    return { size_bytes: limit_bytes, pending: false };
  }

  usage(path: string): Promise<SizedUsage> {
    return Promise.resolve(this.#usage(path));
  }

  async remove(path: string, operation: Operation): Promise<void> {
    // What is left after a crash in between has no limit, which harms nobody: it is only ever deleted.
    this.limits.lift(path);
    await this.engine.removeTree(path, operation);
  }

  async copy(from: string, to: string, { limit_bytes }: CopyOptions, operation: Operation): Promise<void> {
    if (!await canShareFiles(this.place)) {
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot copy ${from}: its file system cannot share blocks between files (xfs can, unless it was made without ` +
          'reflink). A StorageClass with "backing: image" on xfs or btrfs, or lamina.dev/lvm, has snapshots',
      );
    }
    await makeDirectoryDurably(to, 0o700);
    if (limit_bytes !== undefined) this.limits.limit([to], { limit_bytes: Math.ceil(limit_bytes / 1024) * 1024 });
    await syncFileSystem(from);
    await this.engine.copyTree(from, to, operation);
  }

  #usage(path: string): SizedUsage {
    try {
      const { used_bytes, limit_bytes } = projectUsage(path, projectOf(path).projectId);
      return { used_bytes, capacity_bytes: limit_bytes, allocated_bytes: used_bytes };
    } catch (error) {
      throw hostError(error, `Cannot read the quota of ${path}`, { path });
    }
  }
}
