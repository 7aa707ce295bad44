/**
 * The vfs storage driver: every snapshot is a whole copy of its parent, by reflink where the file system can. It needs
 * nothing from the kernel but bind mounts and works everywhere; it is what remains when nothing better does.
 */
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { statxAt } from "../../../runtime/host/fs_calls.ts";
import { AT_FDCWD } from "../../../runtime/host/openat2.ts";
import { DirectoryTrees } from "../directory_trees.ts";
import { type DriverContext, type DriverFactory, refuseUnknownOptions } from "../driver_factory.ts";
import type { DriverCapabilities } from "../port.ts";
import { probeProjectQuota, ProjectLimits } from "../project_limits.ts";
import type { ReachedSource } from "../reached_source.ts";
import { SnapshotDriver } from "../snapshot_driver.ts";
import { readOnlyBind } from "../snapshot_mounts.ts";
import type { NewTree } from "../snapshot_trees.ts";

const capabilities: DriverCapabilities = {
  quota: false,
  parallelApply: false,
  nativeDiff: false,
  rootless: true,
  copyOnWrite: false,
};

/** Opens the vfs driver; it works on every file system. */
export const vfsFactory: DriverFactory = {
  name: "vfs",
  probe({ directory }) {
    return new Promise((resolve) => {
      const { enforced, why, needs } = probeProjectQuota(directory, "anybody");
      resolve({
        supported: true,
        reasons: [`${enforced ? "limits" : "no limits"} for containers: ${why}`],
        capabilities: { ...capabilities, quota: enforced, inodeQuota: enforced },
        needs,
      });
    });
  },
  open(context) {
    return new Promise((resolve) => {
      refuseUnknownOptions("vfs", context.options, []);
      resolve(new VfsDriver(context));
    });
  },
};

class CopiedTrees extends DirectoryTrees {
  protected override async fill(id: number, { parent }: NewTree, operation: Operation): Promise<void> {
    await this.engine.copyTree(this.tree(parent!), this.tree(id), operation);
    // Nothing else changes this directory: the time of the change is when the copy was complete.
    await Deno.chmod(this.of(id), 0o700);
  }

  /** When the tree had become a copy of its parent, by the file system's clock. */
  copiedAt(id: number): { s: number; ns: number } {
    const { ctime_s, ctime_ns } = statxAt(AT_FDCWD, byteStringFromText(this.of(id)));
    return { s: ctime_s, ns: ctime_ns };
  }
}

class VfsDriver extends SnapshotDriver<CopiedTrees> {
  readonly capabilities: DriverCapabilities;
  readonly status: Readonly<Record<string, string>>;

  constructor(context: DriverContext) {
    // A limit counts what a snapshot takes, and here that is the copy of its parent, too.
    const quota = probeProjectQuota(context.directory, "anybody");
    const limits = quota.enforced ? new ProjectLimits(context.directory) : undefined;
    super("vfs", context, new CopiedTrees(context.directory, context.engine, limits));
    this.capabilities = { ...capabilities, quota: quota.enforced, inodeQuota: quota.enforced };
    this.status = {
      backing_filesystem: fileSystemStatus(context.directory).type,
      copies: "every snapshot is a whole copy of its parent, by reflink where the file system can",
      quota: quota.why,
    };
  }

  protected override async reachDiff(
    id: number,
    chain: readonly number[],
    operation: Operation,
  ): Promise<ReachedSource> {
    const reached = await super.reachDiff(id, chain, operation);
    if (reached.source.kind !== "compare" || chain.length === 0) return reached;
    return { ...reached, source: { ...reached.source, copiedAt: this.trees.copiedAt(id) } };
  }

  protected override activeMount(id: number): Mount {
    return { type: "bind", source: this.trees.tree(id), target: "", options: ["bind", "rw"] };
  }

  protected override viewMount(_id: number, chain: readonly number[]): Mount {
    return readOnlyBind(this.trees.tree(chain[0]!));
  }
}
