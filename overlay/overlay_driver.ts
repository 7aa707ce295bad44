/**
 * The overlay storage driver: each layer is a directory of its own with overlayfs whiteouts in it, and the kernel
 * stacks them. Preparing a snapshot copies nothing; layers unpack side by side; a layer's changes are what its
 * directory holds. The decisions on kernel features are in the README of this folder.
 */
import { join } from "@std/path/posix";
import { LaminaError } from "../runtime/core/errors.ts";
import type { SnapshotKey } from "../runtime/core/ids.ts";
import type { Mount } from "../runtime/core/mount.ts";
import type { Operation } from "../runtime/core/operation.ts";
import { hostError } from "../runtime/host/errno_errors.ts";
import { fileSystemStatus } from "../runtime/host/disk.ts";
import { inUserNamespace, knownFileSystems } from "../runtime/host/host_facts.ts";
import { DirectoryTrees } from "../drivers/storage/directory_trees.ts";
import type { DriverContext, DriverFactory, DriverNeed, DriverProbe } from "../drivers/storage/driver_factory.ts";
import {
  FUSE_OVERLAY_CAPABILITIES,
  FuseOverlayDriver,
  NO_FUSE_QUOTA,
} from "../drivers/storage/fuse/fuse_overlay_driver.ts";
import { FuseOverlayTrees } from "../drivers/storage/fuse/fuse_overlay_trees.ts";
import { probeFuseOverlay } from "../drivers/storage/fuse/probe_fuse_overlay.ts";
import type { AppliedLayer } from "../drivers/storage/layer/types.ts";
import { probeProjectQuota, ProjectLimits, type ProjectQuotaFacts } from "../drivers/storage/project_limits.ts";
import type { ApplyRequest, DriverCapabilities, Usage } from "../drivers/storage/port.ts";
import { alwaysReached, type ReachedSource } from "../drivers/storage/reached_source.ts";
import { SnapshotDriver } from "../drivers/storage/snapshot_driver.ts";
import type { SnapshotRow } from "../drivers/storage/snapshot_store.ts";
import type { NewTree } from "../drivers/storage/snapshot_trees.ts";
import { overlayMount } from "./overlay_mounts.ts";
import { decideOverlay, type OverlayDecision, type OverlaySettings, parseOverlaySettings } from "./overlay_options.ts";
import { probeOverlay } from "./probe_overlay.ts";
import { copyRootAttributes } from "../drivers/storage/root_attributes.ts";

const capabilities: DriverCapabilities = {
  quota: false,
  parallelApply: true,
  nativeDiff: true,
  rootless: true,
  copyOnWrite: true,
};

/** Opens the overlay driver where the kernel and the file system can do it. */
export const overlayFactory: DriverFactory = {
  name: "overlay",
  async probe({ directory, options }, operation): Promise<DriverProbe> {
    const { mountProgram } = parseOverlaySettings(options);
    const probe = mountProgram === "fuse-overlayfs"
      ? { supported: false as const, reason: "overlay.mount_program=fuse-overlayfs" }
      : await probeOverlay(directory, operation);
    if (!probe.supported && mayUseFuse(mountProgram)) {
      const refusal = await probeFuseOverlay(directory, operation);
      const reasons = [refusal === undefined ? fuseReason(probe.reason) : `${probe.reason}; ${refusal.reason}`];
      const found = { reasons, capabilities: FUSE_OVERLAY_CAPABILITIES, needs: refusal?.needs };
      return { supported: refusal === undefined, ...found };
    }
    if (!probe.supported) {
      return { supported: false, reasons: [probe.reason], capabilities, needs: needsOf(probe.reason) };
    }
    const quota = probeProjectQuota(directory, "overlay");
    return {
      supported: true,
      reasons: [`${quota.enforced ? "limits" : "no limits"} for containers: ${quota.why}`],
      capabilities: { ...capabilities, quota: quota.enforced, inodeQuota: quota.enforced },
      needs: quota.needs,
    };
  },
  async open(context, operation) {
    const settings = parseOverlaySettings(context.options);
    if (settings.mountProgram === "fuse-overlayfs") return await openFuse(context, "asked for", operation);
    const probe = await probeOverlay(context.directory, operation);
    if (!probe.supported && mayUseFuse(settings.mountProgram)) {
      return await openFuse(context, probe.reason, operation);
    }
    if (!probe.supported) {
      throw new LaminaError("UNSUPPORTED", `Cannot use the storage driver overlay: ${probe.reason}`);
    }
    const quota = probeProjectQuota(context.directory, "overlay");
    return new OverlayDriver(context, decideOverlay(probe.facts, settings), quota);
  },
};

/** Without root fuse-overlayfs stands in by itself; with root, a kernel that cannot is told about instead. */
function mayUseFuse(mountProgram: OverlaySettings["mountProgram"]): boolean {
  return mountProgram === "fuse-overlayfs" || (mountProgram === "auto" && inUserNamespace());
}

async function openFuse(context: DriverContext, why: string, operation: Operation): Promise<FuseOverlayDriver> {
  const refusal = await probeFuseOverlay(context.directory, operation);
  if (refusal !== undefined) {
    throw new LaminaError("UNSUPPORTED", `Cannot use the storage driver overlay (${why}): ${refusal.reason}`);
  }
  const form = inUserNamespace() ? "overlay-user" : "overlay";
  return new FuseOverlayDriver("overlay", context, new FuseOverlayTrees(context.directory, context.engine, form), {
    backing_filesystem: fileSystemStatus(context.directory).type,
    mount_program: fuseReason(why),
    quota: NO_FUSE_QUOTA,
  });
}

function fuseReason(why: string): string {
  return `stacked by fuse-overlayfs: ${why}`;
}

/** What a host without overlayfs lacks. */
function needsOf(reason: string): DriverNeed[] {
  if (!knownFileSystems().has("overlay")) return [{ module: "overlay", kernelOption: "CONFIG_OVERLAY_FS" }];
  return /lies on an overlay|does not work on|extended attributes|ftype/.test(reason)
    ? [{ fileSystem: "ext4, xfs or btrfs" }]
    : [];
}

class OverlayTrees extends DirectoryTrees {
  protected override readonly others = ["work"];

  /** A full snapshot could not be mounted but read-only. */
  makeRoomForMount(row: SnapshotRow): void {
    if (row.kind === "active") this.limits?.lendForMount?.(this.tree(row.id), row);
  }

  /** The upper layer's top directory is the root that a container sees: it has to look as the parent's. */
  protected override fill(id: number, { parent }: NewTree): Promise<void> {
    try {
      copyRootAttributes(this.tree(parent!), this.tree(id));
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(hostError(error, `Cannot give a new layer the attributes of its parent's root`));
    }
  }
}

class OverlayDriver extends SnapshotDriver<OverlayTrees> {
  readonly capabilities: DriverCapabilities;
  readonly status: Readonly<Record<string, string>>;
  readonly #decision: OverlayDecision;

  constructor(context: DriverContext, decision: OverlayDecision, quota: ProjectQuotaFacts) {
    const limits = quota.enforced ? new ProjectLimits(context.directory) : undefined;
    super("overlay", context, new OverlayTrees(context.directory, context.engine, limits));
    this.#decision = decision;
    this.capabilities = { ...capabilities, quota: quota.enforced, inodeQuota: quota.enforced };
    this.status = { ...decision.status, quota: quota.why };
  }

  override mounts(key: SnapshotKey): Promise<Mount[]> {
    const row = this.rows.find(key);
    if (row !== undefined) this.trees.makeRoomForMount(row);
    return super.mounts(key);
  }

  protected override activeMount(id: number, chain: readonly number[]): Mount {
    const work = join(this.trees.of(id), "work");
    return this.#mount(id, chain, { upper: this.trees.tree(id), work });
  }

  protected override viewMount(id: number, chain: readonly number[]): Mount {
    return this.#mount(id, chain);
  }

  protected override reachDiff(id: number, chain: readonly number[]): Promise<ReachedSource> {
    const { form } = this.#decision;
    return Promise.resolve(
      alwaysReached({ kind: "overlay", upper: this.trees.tree(id), lowers: this.#trees(chain), form }),
    );
  }

  protected override async unpack(
    id: number,
    { blob, recipePath }: ApplyRequest,
    parentChain: () => Promise<readonly number[]>,
    operation: Operation,
  ): Promise<{ applied: AppliedLayer; usage: Usage }> {
    const applied = await this.engine.unpack({
      blob,
      directory: this.trees.tree(id),
      whiteouts: this.#decision.form,
      lowers: async () => this.#trees(await parentChain()),
      recipePath,
    }, operation);
    return { applied, usage: { size_bytes: applied.size_bytes, inodes: applied.inodes } };
  }

  #mount(id: number, chain: readonly number[], writable?: { upper: string; work: string }): Mount {
    const { options } = this.#decision;
    return overlayMount({ source: this.trees.of(id), lowers: this.#trees(chain), writable, options });
  }

  #trees(chain: readonly number[]): string[] {
    return chain.map((id) => this.trees.tree(id));
  }
}
