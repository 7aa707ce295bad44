/**
 * The devicemapper storage driver: each snapshot is a thin device of a pool with a file system of its own, and its
 * children are snapshots of that device. See the README of this folder.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { DriverContext, DriverFactory, DriverNeed } from "../driver_factory.ts";
import type { DriverCapabilities } from "../port.ts";
import { SnapshotDriver } from "../snapshot_driver.ts";
import { type DevicemapperSettings, parseDevicemapperOptions } from "./options.ts";
import { fills } from "./pool_room.ts";
import { type LackingPart, lackingParts } from "./probe_devicemapper.ts";
import { ThinTrees } from "./thin_trees.ts";

const capabilities: DriverCapabilities = {
  quota: true,
  parallelApply: false,
  nativeDiff: false,
  rootless: false,
  copyOnWrite: true,
};

/** Opens the devicemapper driver where the kernel has thin provisioning and the options say where the pool is. */
export const devicemapperFactory: DriverFactory = {
  name: "devicemapper",
  onlyWithOptions: true,
  async probe({ options }, operation) {
    const lacking = await reasonsAgainst(options, operation);
    const reasons = lacking.map(({ reason }) => reason);
    return { supported: lacking.length === 0, reasons, capabilities, needs: together(lacking) };
  },
  async open(context, operation) {
    const settings = parseDevicemapperOptions(context.options);
    const lacking = await lackingParts(settings, operation);
    if (lacking.length > 0) {
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot use the storage driver devicemapper: ${lacking.map(({ reason }) => reason).join("; ")}`,
      );
    }
    return new DevicemapperDriver(context, settings);
  },
};

/** All of it is needed: one remedy. */
function together(lacking: readonly LackingPart[]): DriverNeed[] {
  const packages = [...new Set(lacking.flatMap(({ need }) => need?.package ?? []))].join(" ");
  const kernel = lacking.find(({ need }) => need?.module !== undefined)?.need;
  if (kernel === undefined && packages === "") return [];
  return [{ ...kernel, ...(packages === "" ? {} : { package: packages }) }];
}

async function reasonsAgainst(
  options: DriverContext["options"],
  operation: Parameters<DriverFactory["probe"]>[1],
): Promise<LackingPart[]> {
  try {
    return await lackingParts(parseDevicemapperOptions(options), operation);
  } catch (error) {
    if (!(error instanceof LaminaError)) throw error;
    return [{ reason: error.message }, ...await lackingParts(undefined, operation)];
  }
}

class DevicemapperDriver extends SnapshotDriver<ThinTrees> {
  readonly capabilities = capabilities;

  constructor(context: DriverContext, readonly settings: DevicemapperSettings) {
    super("devicemapper", context, new ThinTrees(context, settings));
  }

  /** How full the pool is, now. */
  get status(): Readonly<Record<string, string>> {
    const { fs, base_bytes, minFree_percent, backing, discard } = this.settings;
    const known = {
      backing: backing.kind,
      filesystem: fs,
      base_size: `${Math.floor(base_bytes / 2 ** 20)} MiB`,
      min_free_percent: String(minFree_percent),
      discard: discard ? "on" : "off",
      quota: "size: the size of the snapshot's own file system; inodes: no",
    };
    const open = this.trees.opened;
    if (open === undefined) return known;
    const pool = { ...known, pool: open.shown, pool_device: open.pool.name, ...mended(open.mended) };
    try {
      const status = open.pool.status();
      const { data_percent, metadata_percent } = fills(status);
      const mebibytes = (blocks: number) => Math.floor(blocks * open.pool.block_bytes / 2 ** 20);
      return {
        ...pool,
        data: `${mebibytes(status.usedDataBlocks)} of ${mebibytes(status.totalDataBlocks)} MiB (${
          data_percent.toFixed(1)
        }%)`,
        metadata: `${status.usedMetadataBlocks * 4} of ${status.totalMetadataBlocks * 4} KiB (${
          metadata_percent.toFixed(1)
        }%)`,
        mode: status.mode,
        transaction_id: String(status.transactionId),
      };
    } catch (error) {
      return { ...pool, mode: error instanceof Error ? error.message : String(error) };
    }
  }

  protected override activeMount(id: number): Mount {
    return this.trees.mount(id);
  }

  protected override viewMount(_id: number, chain: readonly number[]): Mount {
    return this.trees.mount(chain[0]!);
  }
}

function mended(what: string | undefined): { mended?: string } {
  return what === undefined ? {} : { mended: what };
}
