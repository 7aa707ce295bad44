/**
 * The zfs storage driver: every snapshot is a dataset, a clone of its parent's snapshot. Preparing one costs the same
 * however big the image is, a first write copies blocks and not files, sizes are limited by the pool, and changes are
 * found by `zfs diff`.
 */
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { readMountTable } from "../../../runtime/host/mount_table.ts";
import { type DriverContext, type DriverFactory, type DriverProbe, refuseUnknownOptions } from "../driver_factory.ts";
import type { DriverCapabilities } from "../port.ts";
import { reachComparison, type ReachedSource } from "../reached_source.ts";
import { SnapshotDriver } from "../snapshot_driver.ts";
import { zfs } from "./zfs_command.ts";
import { findPlace, type ZfsPlace } from "./zfs_place.ts";
import { parseDiff } from "./zfs_text.ts";
import { ZfsTrees } from "./zfs_trees.ts";

const capabilities: DriverCapabilities = {
  quota: true,
  parallelApply: false,
  nativeDiff: true,
  rootless: false,
  copyOnWrite: true,
};

/** Opens the zfs driver where the root lies on a dataset, or where one is named. */
export const zfsFactory: DriverFactory = {
  name: "zfs",
  async probe({ directory, options }, operation): Promise<DriverProbe> {
    const probe = await findPlace(directory, options["zfs.pool"], operation, true);
    if (probe.supported) return { supported: true, reasons: [], capabilities };
    return { supported: false, reasons: [probe.reason], capabilities, needs: probe.needs };
  },
  async open(context, operation) {
    refuseUnknownOptions("zfs", context.options, ["zfs.pool"]);
    const named = context.options["zfs.pool"];
    if (named !== undefined && !/^[A-Za-z][\w.: -]*(\/[\w.: -]+)*$/.test(named)) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Invalid storage option zfs.pool=${named.slice(0, 80)}: it is POOL or POOL/DATASET`,
      );
    }
    const probe = await findPlace(context.directory, named, operation);
    if (!probe.supported) throw new LaminaError("UNSUPPORTED", `Cannot use the storage driver zfs: ${probe.reason}`);
    return new ZfsDriver(context, probe.place, probe.health);
  },
};

class ZfsDriver extends SnapshotDriver<ZfsTrees> {
  readonly capabilities = capabilities;
  readonly status: Readonly<Record<string, string>>;

  constructor(context: DriverContext, place: ZfsPlace, health: string) {
    super("zfs", context, new ZfsTrees(context, place));
    this.status = {
      backing_filesystem: "zfs",
      pool: `${place.pool} (${health})`,
      dataset: place.base,
      changes: "found by zfs diff",
    };
  }

  protected override activeMount(id: number): Mount {
    return { type: "zfs", source: this.trees.dataset(id), target: "", options: ["rw"] };
  }

  protected override viewMount(_id: number, chain: readonly number[]): Mount {
    return { type: "zfs", source: this.trees.sealOf(chain[0]!), target: "", options: ["ro"] };
  }

  protected override async reachDiff(
    id: number,
    chain: readonly number[],
    operation: Operation,
  ): Promise<ReachedSource> {
    const reached = await reachComparison(this.trees, id, chain[0], operation);
    if (chain[0] === undefined || reached.source.kind !== "compare") return reached;
    try {
      const paths = await this.#changedPaths(id, chain[0], operation);
      if (paths === undefined) return reached;
      return { ...reached, source: { ...reached.source, touched: { kind: "paths", paths } } };
    } catch (error) {
      await reached[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `undefined` where `zfs diff` cannot tell. Both datasets are mounted. */
  async #changedPaths(id: number, parent: number, operation: Operation) {
    const dataset = this.trees.dataset(id);
    let text: string;
    try {
      const args = ["diff", "-FH", this.trees.sealOf(parent), dataset];
      text = await zfs("zfs", args, `Cannot find the changes of ${dataset}`, operation);
    } catch (error) {
      operation.signal.throwIfAborted();
      // It gives up on some trees (names of an inode that it cannot find any more): those are compared.
      if (!isLaminaError(error, "INTERNAL", "NOT_FOUND", "CONFLICT")) throw error;
      return undefined;
    }
    const mountPoints = readMountTable().filter(({ type, source }) => type === "zfs" && source === dataset)
      .map(({ target }) => byteStringFromText(target)).sort((a, b) => b.length - a.length);
    return parseDiff(text, mountPoints);
  }
}
