/** Directories of snapshots that fuse-overlayfs stacks. */
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { fuseServers, fuseServersEnded } from "../../../runtime/host/fuse_servers.ts";
import { DirectoryTrees } from "../directory_trees.ts";
import type { ConvertedForm } from "../layer/convert_whiteouts.ts";
import type { LayerEngine } from "../layer/engine.ts";
import { copyRootAttributes } from "../root_attributes.ts";
import type { SnapshotMount } from "../snapshot_mounts.ts";
import type { NewTree } from "../snapshot_trees.ts";
import { FUSE_OVERLAY_PROGRAM, FUSE_OVERLAY_TYPE, fuseSnapshotMounts } from "./fuse_overlay_mounts.ts";

/** Milliseconds that the program of a snapshot gets to end after its mount is gone. */
const END_MS = 10_000;

/** See the head of the file. Committed trees are brought into one form of whiteouts. */
export class FuseOverlayTrees extends DirectoryTrees {
  protected override readonly others = ["work"];

  constructor(directory: string, engine: LayerEngine, readonly form: ConvertedForm) {
    super(directory, engine);
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

  override async seal(id: number, _synced: boolean, operation: Operation): Promise<void> {
    const { signal } = operation;
    await fuseServersEnded(FUSE_OVERLAY_PROGRAM, this.of(id), { signal, timeout_ms: END_MS });
    await this.engine.convertWhiteouts(this.tree(id), this.form, operation);
    await super.seal(id, false, operation);
  }

  override shownBy(entries: readonly MountEntry[]): SnapshotMount[] {
    const bound = super.shownBy(entries);
    if (!entries.some(({ type }) => type === FUSE_OVERLAY_TYPE)) return bound;
    return [...bound, ...fuseSnapshotMounts(entries, fuseServers(FUSE_OVERLAY_PROGRAM), this.layers)];
  }
}
