/** A storage driver whose layers fuse-overlayfs stacks: each layer is a directory with whiteouts in it. */
import { join } from "@std/path/posix";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { SnapshotKey } from "../../../runtime/core/ids.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fuseServers } from "../../../runtime/host/fuse_servers.ts";
import { inUserNamespace } from "../../../runtime/host/host_facts.ts";
import type { DriverContext } from "../driver_factory.ts";
import type { AppliedLayer } from "../layer/types.ts";
import type { ApplyRequest, DriverCapabilities, StorageDriverName, Usage } from "../port.ts";
import { alwaysReached, type ReachedSource } from "../reached_source.ts";
import { SnapshotDriver } from "../snapshot_driver.ts";
import { FUSE_OVERLAY_PROGRAM, FUSE_OVERLAY_TYPE, fuseOverlayMount, type FuseStack } from "./fuse_overlay_mounts.ts";
import type { FuseOverlayTrees } from "./fuse_overlay_trees.ts";

/** What such a driver can do. */
export const FUSE_OVERLAY_CAPABILITIES: DriverCapabilities = {
  quota: false,
  parallelApply: true,
  nativeDiff: true,
  rootless: true,
  copyOnWrite: true,
};

/** For `status`: why there are no limits. */
export const NO_FUSE_QUOTA =
  "no limits for containers: the program that stacks the layers writes as root, whom quotas do not bind";

/** See the head of the file. */
export class FuseOverlayDriver extends SnapshotDriver<FuseOverlayTrees> {
  readonly capabilities: DriverCapabilities = FUSE_OVERLAY_CAPABILITIES;

  constructor(
    name: StorageDriverName,
    context: DriverContext,
    trees: FuseOverlayTrees,
    readonly status: Readonly<Record<string, string>>,
  ) {
    super(name, context, trees);
  }

  /** The mount of a stack of layers. */
  protected stack(stack: FuseStack): Mount {
    return fuseOverlayMount(stack);
  }

  override isShownBy(key: SnapshotKey, entry: MountEntry, table: readonly MountEntry[]): boolean {
    if (super.isShownBy(key, entry, table)) return true;
    // A mount without its program does not say whose it was. At a place of our own, nobody else's.
    return entry.type === FUSE_OVERLAY_TYPE &&
      !fuseServers(FUSE_OVERLAY_PROGRAM).some(({ args }) => args[1] === entry.target);
  }

  protected override activeMount(id: number, chain: readonly number[]): Mount {
    const source = this.trees.of(id);
    const writable = { upper: this.trees.tree(id), work: join(source, "work") };
    return this.stack({ source, lowers: this.#trees(chain), writable });
  }

  protected override viewMount(id: number, chain: readonly number[]): Mount {
    return this.stack({ source: this.trees.of(id), lowers: this.#trees(chain) });
  }

  protected override reachDiff(id: number, chain: readonly number[]): Promise<ReachedSource> {
    const lowers = this.#trees(chain);
    return Promise.resolve(
      alwaysReached({ kind: "overlay", upper: this.trees.tree(id), lowers, form: "fuse-overlayfs" }),
    );
  }

  /**
   * Unpacked with the kernel overlay's marks, by which a whiteout and a new file of the same name in one archive are
   * told apart; sealing brings them into the driver's own form.
   */
  protected override async unpack(
    id: number,
    { blob, recipePath }: ApplyRequest,
    parentChain: () => Promise<readonly number[]>,
    operation: Operation,
  ): Promise<{ applied: AppliedLayer; usage: Usage }> {
    const applied = await this.engine.unpack({
      blob,
      directory: this.trees.tree(id),
      whiteouts: inUserNamespace() ? "overlay-user" : "overlay",
      lowers: async () => this.#trees(await parentChain()),
      recipePath,
    }, operation);
    return { applied, usage: { size_bytes: applied.size_bytes, inodes: applied.inodes } };
  }

  #trees(chain: readonly number[]): string[] {
    return chain.map((id) => this.trees.tree(id));
  }
}
