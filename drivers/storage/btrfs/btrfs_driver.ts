/**
 * The btrfs storage driver: every snapshot is a subvolume, made as a snapshot of its parent's. Preparing one costs the
 * same however big the image is, a first write copies blocks and not files, and changes are found by what the file
 * system wrote since, without a look at the rest.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { type DriverContext, type DriverFactory, type DriverProbe, refuseUnknownOptions } from "../driver_factory.ts";
import type { DriverCapabilities } from "../port.ts";
import { reachComparison, type ReachedSource } from "../reached_source.ts";
import { SnapshotDriver } from "../snapshot_driver.ts";
import { readOnlyBind } from "../snapshot_mounts.ts";
import { type BtrfsLimits, openLimits, type QuotaSetting } from "./btrfs_limits.ts";
import { BtrfsTrees } from "./btrfs_trees.ts";
import { probeBtrfs } from "./probe_btrfs.ts";

const capabilities: DriverCapabilities = {
  quota: false,
  parallelApply: false,
  nativeDiff: true,
  rootless: false,
  copyOnWrite: true,
};

/** Opens the btrfs driver where the root lies on btrfs. */
export const btrfsFactory: DriverFactory = {
  name: "btrfs",
  async probe({ directory, options }, operation): Promise<DriverProbe> {
    const probe = await probeBtrfs(directory, operation);
    if (!probe.supported) return { supported: false, reasons: [probe.reason], capabilities, needs: probe.needs };
    const quota = quotaSetting(options) !== "off";
    const reasons = quota ? [] : ["no limits for containers: quota groups are off (--storage-opt btrfs.quota=on)"];
    return { supported: true, reasons, capabilities: { ...capabilities, quota } };
  },
  async open(context, operation) {
    refuseUnknownOptions("btrfs", context.options, ["btrfs.quota"]);
    const setting = quotaSetting(context.options);
    const probe = await probeBtrfs(context.directory, operation);
    if (!probe.supported) {
      throw new LaminaError("UNSUPPORTED", `Cannot use the storage driver btrfs: ${probe.reason}`);
    }
    const limits = setting === "off" ? undefined : await openLimits(context.directory, setting, operation);
    return new BtrfsDriver(context, limits, setting);
  },
};

class BtrfsDriver extends SnapshotDriver<BtrfsTrees> {
  readonly capabilities: DriverCapabilities;
  readonly status: Readonly<Record<string, string>>;

  constructor(context: DriverContext, limits: BtrfsLimits | undefined, setting: QuotaSetting | "off") {
    super("btrfs", context, new BtrfsTrees(context.directory, context.engine, limits));
    this.capabilities = { ...capabilities, quota: limits !== undefined };
    this.status = {
      backing_filesystem: "btrfs",
      quota: {
        off: "off: counting costs at each write (--storage-opt btrfs.quota=on or simple)",
        on: "on: limits what a container has beyond its image",
        simple: "simple: limits what a container has written",
      }[setting],
      changes: "found by generation numbers",
    };
  }

  protected override activeMount(id: number): Mount {
    return { type: "bind", source: this.trees.tree(id), target: "", options: ["bind", "rw"] };
  }

  protected override viewMount(_id: number, chain: readonly number[]): Mount {
    return readOnlyBind(this.trees.tree(chain[0]!));
  }

  protected override async reachDiff(
    id: number,
    chain: readonly number[],
    operation: Operation,
  ): Promise<ReachedSource> {
    const reached = await reachComparison(this.trees, id, chain[0], operation);
    const since = chain[0] === undefined ? undefined : await this.trees.madeFrom(id, chain[0]);
    if (since === undefined || reached.source.kind !== "compare") return reached;
    await this.trees.syncChanges(id);
    return { ...reached, source: { ...reached.source, touched: { kind: "btrfs", since } } };
  }
}

function quotaSetting(options: Readonly<Record<string, string>>): QuotaSetting | "off" {
  const value = options["btrfs.quota"] ?? "off";
  if (value === "off" || value === "on" || value === "simple") return value;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid storage option btrfs.quota=${value.slice(0, 80)}: it is off, on or simple`,
  );
}
