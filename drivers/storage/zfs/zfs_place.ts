/** Where the driver's datasets are, whose they are, and whether they can be used. */
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { inUserNamespace, isRoot, knownFileSystems } from "../../../runtime/host/host_facts.ts";
import { readMountTable } from "../../../runtime/host/mount_table.ts";
import type { DriverNeed } from "../driver_factory.ts";
import { zfs } from "./zfs_command.ts";
import { type DatasetListing, LIST_COLUMNS, parseListing } from "./zfs_text.ts";

/** Where the datasets of one root are. */
export interface ZfsPlace {
  readonly pool: string;
  /** Holds them; Lamina's own. */
  readonly base: string;
}

/** The answer of {@linkcode findPlace}; `reason` is a clause. */
export type PlaceProbe =
  | { readonly supported: true; readonly place: ZfsPlace; readonly health: string }
  | { readonly supported: false; readonly reason: string; readonly needs: readonly DriverNeed[] };

/** User properties of the driver's own dataset. */
const STORE_PROPERTY = "lamina:store";
const ROOT_PROPERTY = "lamina:root";

/**
 * Finds the dataset below which this root keeps its own, and looks whether its pool can be used.
 *
 * @param directory The driver's own (absolute, canonical, existing); the dataset that it lies on is the default.
 * @param named `POOL` or `POOL/DATASET`, existing.
 * @param thoroughly Also whether the dataset is there; else that shows when it is used.
 * @throws what says nothing about zfs: cancellation.
 */
export async function findPlace(
  directory: string,
  named: string | undefined,
  operation: Operation,
  thoroughly = false,
): Promise<PlaceProbe> {
  const no = (reason: string, ...needs: DriverNeed[]) => ({ supported: false, reason, needs }) as const;
  const { type } = fileSystemStatus(directory);
  if (named === undefined && type !== "zfs") {
    return no(`the root lies on ${type}: put it on a zfs dataset or name one (--storage-opt zfs.pool=POOL/DATASET)`, {
      fileSystem: "zfs",
      // Debian's contrib.
      ...(knownFileSystems().has("zfs") ? {} : { module: "zfs", package: "zfs-dkms zfsutils-linux" }),
    });
  }
  if (!isRoot() || inUserNamespace()) return no("making datasets needs the machine's root");
  if (!knownFileSystems().has("zfs")) await loadModule(operation);
  if (!knownFileSystems().has("zfs")) {
    return no(
      "the kernel's module zfs is missing (package zfs-dkms of Debian's contrib, or zfs-modules of the distribution)",
      { module: "zfs", package: "zfs-dkms" },
    );
  }
  const parent = named ?? datasetOf(directory);
  if (parent === undefined) return no("the dataset that the root lies on is not in the mount table");
  const [pool] = parent.split("/") as [string];
  try {
    const [, health = "unknown", readOnly] = (await zfs(
      "zpool",
      ["list", "-Hpo", "name,health,readonly", pool],
      `Cannot look at the pool ${pool}`,
      operation,
    )).trim().split("\t");
    if (health !== "ONLINE" && health !== "DEGRADED") {
      return no(`the pool ${pool} is ${health}: see zpool status ${pool}`);
    }
    if (readOnly === "on") return no(`the pool ${pool} is imported read-only: export it and import it writable`);
    if (thoroughly) await zfs("zfs", ["list", "-Ho", "name", parent], `Cannot look at ${parent}`, operation);
    return { supported: true, place: { pool, base: `${parent}/lamina` }, health };
  } catch (error) {
    operation.signal.throwIfAborted();
    if (!isLaminaError(error)) throw error;
    if (error.code === "UNSUPPORTED") {
      return no("zfs and zpool are not installed (package zfsutils-linux)", { package: "zfsutils-linux" });
    }
    if (error.code !== "NOT_FOUND") return no(error.message);
    return no(
      /dataset does not exist/.test(error.message)
        ? `there is no dataset ${parent}: make it (zfs create ${parent})`
        : `there is no pool ${pool}${await whyNotImported(pool, operation)}`,
    );
  }
}

/**
 * Makes the driver's own dataset, or looks whether it is this root's. Returns what lies below it.
 *
 * @param store Identity of the store that holds the rows.
 * @param directory The driver's own.
 * @throws `DATA_LOSS` when the datasets there are this root's but another store's, `CONFLICT` when they are another
 * root's or none of Lamina's, `NOT_FOUND` when the dataset that was named is not there.
 */
export async function ownPlace(
  place: ZfsPlace,
  store: string,
  directory: string,
  operation: Operation,
): Promise<DatasetListing> {
  const { base } = place;
  let listing: DatasetListing;
  try {
    listing = await listDatasets(place, operation);
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    await makeBase(base, store, directory, operation);
    return { datasets: new Map(), strangers: [] };
  }
  const { owner, root } = listing;
  if (owner === store) return listing;
  const attempted = `Cannot use the dataset ${base}`;
  if (owner === undefined) {
    throw new LaminaError("CONFLICT", `${attempted}: it exists and Lamina did not make it. Rename it or name another`, {
      details: { dataset: base },
    });
  }
  if (root !== directory) {
    throw new LaminaError(
      "CONFLICT",
      `${attempted}: it belongs to the root with ${root}. Name another dataset by --storage-opt zfs.pool=POOL/DATASET`,
      { details: { dataset: base, root: root ?? "" } },
    );
  }
  throw new LaminaError(
    "DATA_LOSS",
    `${attempted}: the database that knows its snapshots is another one or is lost. Restore it from a backup, or ` +
      `rename the dataset to start anew (zfs rename ${base} ${base}-old)`,
    { details: { dataset: base } },
  );
}

/** What lies below the driver's own dataset. @throws `NOT_FOUND` */
export async function listDatasets({ base }: ZfsPlace, operation: Operation): Promise<DatasetListing> {
  const columns = [...LIST_COLUMNS, STORE_PROPERTY, ROOT_PROPERTY].join();
  const args = ["list", "-Hpo", columns, "-t", "filesystem,volume,snapshot", "-r", "-d", "2", base];
  return parseListing(await zfs("zfs", args, `Cannot list the datasets below ${base}`, operation), base);
}

async function makeBase(base: string, store: string, directory: string, operation: Operation): Promise<void> {
  // `sa` and `posixacl`: extended attributes and access control lists as containers know them, at their full speed.
  const properties = ["mountpoint=legacy", "canmount=off", "atime=off", "xattr=sa", "acltype=posixacl"];
  const marks = [`${STORE_PROPERTY}=${store}`, `${ROOT_PROPERTY}=${directory}`];
  const args = [...properties, ...marks].flatMap((property) => ["-o", property]);
  await zfs("zfs", ["create", ...args, base], `Cannot make the dataset ${base}`, operation);
}

async function loadModule(operation: Operation): Promise<void> {
  try {
    await runCommand("modprobe", ["-q", "zfs"], { signal: operation.signal, timeout_ms: 30_000 });
  } catch (error) {
    // No modprobe: whoever asks finds the module missing and says so.
    if (!isLaminaError(error, "UNSUPPORTED", "PERMISSION_DENIED")) throw error;
  }
}

function datasetOf(directory: string): string | undefined {
  return readMountTable().filter(({ type, target }) =>
    type === "zfs" && (target === "/" || directory === target || directory.startsWith(`${target}/`))
  ).sort((a, b) => a.target.length - b.target.length).at(-1)?.source;
}

/** A pool on disks that are there may be exported, or of a newer version. */
async function whyNotImported(pool: string, operation: Operation): Promise<string> {
  try {
    const text = await zfs("zpool", ["import"], "Cannot look for pools", operation);
    const found = text.split(/^ *pool: /m).slice(1).find((part) => part.startsWith(`${pool}\n`));
    if (found === undefined) return "";
    return /unsupported|not supported|newer version/i.test(found)
      ? ": it is of a newer version than this zfs can read. Upgrade zfsutils-linux and the module"
      : `: it is not imported (zpool import ${pool})`;
  } catch (error) {
    if (!isLaminaError(error)) throw error;
    return "";
  }
}
