/**
 * The aufs storage driver: each layer is a directory with AUFS's own whiteouts in it (`.wh.NAME`, `.wh..wh..opq`),
 * stacked by the kernel's aufs where it has that, otherwise by fuse-overlayfs, which understands them.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { knownFileSystems } from "../../../runtime/host/host_facts.ts";
import { type DriverContext, type DriverFactory, type DriverNeed, refuseUnknownOptions } from "../driver_factory.ts";
import { FUSE_OVERLAY_CAPABILITIES, FuseOverlayDriver, NO_FUSE_QUOTA } from "../fuse/fuse_overlay_driver.ts";
import type { FuseStack } from "../fuse/fuse_overlay_mounts.ts";
import { FuseOverlayTrees } from "../fuse/fuse_overlay_trees.ts";
import { probeFuseOverlay } from "../fuse/probe_fuse_overlay.ts";
import { idOfDirectory, type SnapshotMount } from "../snapshot_mounts.ts";
import { aufsMount } from "./aufs_mounts.ts";

const capabilities = FUSE_OVERLAY_CAPABILITIES;

/** What stacks the layers. */
type Stacker = "aufs" | "fuse-overlayfs";

/** Opens the aufs driver where the kernel has aufs or fuse-overlayfs works. */
export const aufsFactory: DriverFactory = {
  name: "aufs",
  async probe({ directory }, operation) {
    const found = await findStacker(directory, operation);
    if ("reason" in found) return { supported: false, reasons: [found.reason], capabilities, needs: found.needs };
    const reason = found.stacker === "aufs" ? "stacked by the kernel's aufs" : "stacked by fuse-overlayfs";
    return { supported: true, reasons: [`${reason}; no limits for containers`], capabilities };
  },
  async open(context, operation) {
    refuseUnknownOptions("aufs", context.options, []);
    const found = await findStacker(context.directory, operation);
    if ("reason" in found) {
      throw new LaminaError("UNSUPPORTED", `Cannot use the storage driver aufs: ${found.reason}`);
    }
    return new AufsDriver(context, found.stacker);
  },
};

async function findStacker(
  directory: string,
  operation: Operation,
): Promise<{ readonly stacker: Stacker } | { readonly reason: string; readonly needs: readonly DriverNeed[] }> {
  if (knownFileSystems().has("aufs")) return { stacker: "aufs" };
  const refusal = await probeFuseOverlay(directory, operation);
  if (refusal === undefined) return { stacker: "fuse-overlayfs" };
  return {
    reason: `this kernel has no aufs (no Debian kernel has), and instead of it ${refusal.reason}`,
    needs: refusal.needs,
  };
}

class AufsTrees extends FuseOverlayTrees {
  override shownBy(entries: readonly MountEntry[]): SnapshotMount[] {
    const own = entries.flatMap((entry): SnapshotMount[] => {
      const below = entry.type === "aufs" && entry.source.startsWith(`${this.layers}/`);
      const id = below ? idOfDirectory(entry.source.slice(this.layers.length + 1)) : undefined;
      return id === undefined ? [] : [{ id, target: entry.target, readOnly: entry.options.includes("ro") }];
    });
    return [...own, ...super.shownBy(entries)];
  }
}

class AufsDriver extends FuseOverlayDriver {
  readonly #stacker: Stacker;

  constructor(context: DriverContext, stacker: Stacker) {
    super("aufs", context, new AufsTrees(context.directory, context.engine, "aufs"), {
      backing_filesystem: fileSystemStatus(context.directory).type,
      stacked_by: stacker === "aufs" ? "the kernel's aufs" : "fuse-overlayfs: this kernel has no aufs",
      whiteouts: "AUFS's files .wh.NAME and .wh..wh..opq",
      quota: NO_FUSE_QUOTA,
    });
    this.#stacker = stacker;
  }

  protected override stack({ source, lowers, writable }: FuseStack): Mount {
    if (this.#stacker === "aufs") return aufsMount({ source, lowers, upper: writable?.upper });
    return super.stack({ source, lowers, writable });
  }
}
