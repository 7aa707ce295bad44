/** What concerns single devices of a pool. */
import { join } from "@std/path/posix";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import { discardDevice } from "../../../runtime/host/block_devices.ts";
import { mapperNode } from "../../../runtime/host/device_mapper.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import type { Usage } from "../port.ts";
import type { RepairableFinding } from "../snapshot_trees.ts";
import type { SnapshotMount } from "../snapshot_mounts.ts";
import { fileSystemOn } from "./file_systems.ts";
import type { OpenPool } from "./pool_owner.ts";
import { THIN, type ThinPool } from "./thin_pool.ts";

/**
 * An active device that is to become smaller.
 *
 * @throws `UNSUPPORTED` (xfs), `CONFLICT` (it is mounted).
 */
export function refuseShrinking(fs: string, pool: ThinPool, id: number, limit_bytes: number): void {
  const attempted = `Cannot limit the device ${pool.nameOf(id)} to ${limit_bytes} bytes`;
  if (fs === "xfs") {
    throw new LaminaError(
      "UNSUPPORTED",
      `${attempted}: xfs cannot be made smaller. Give more than devicemapper.base_size, or use devicemapper.fs=ext4`,
    );
  }
  if ((pool.find(id)?.openCount ?? 0) === 0) return;
  throw new LaminaError("CONFLICT", `${attempted}: it is mounted, and can only grow then. Unmount it first`);
}

/** @throws `DATA_LOSS` when the devices of a pool belong to another database. */
export function refuseOtherStore({ label, shown }: OpenPool, store: string, devices: number): void {
  if (label.store === store || devices === 0) return;
  throw new LaminaError(
    "DATA_LOSS",
    `Cannot use the ${devices} snapshots in the pool on ${shown}: the database that knows them is another one or is ` +
      "lost. Restore it from a backup, or name another place for a new pool",
    { details: { pool: shown } },
  );
}

/** Devices that a newer database has made and an older one, come back, does not know. */
export function keptDevices(pool: ThinPool, kept: Iterable<number>): RepairableFinding[] {
  return [...kept].map((thin) => ({
    kind: "unknown-device",
    object: pool.nameOf(thin),
    message: "A newer database than this one made this thin device: it was kept when the older one came back. " +
      `Its file system can be mounted once it is active. When nobody needs it, delete it: dmsetup message ` +
      `${pool.name} 0 "delete ${thin}"`,
    repairable: false,
  }));
}

/** Gives the blocks of a device back to what is under the pool. */
export async function discardBlocks(pool: ThinPool, id: number, size_bytes: number): Promise<void> {
  try {
    await discardDevice(mapperNode(pool.activate(id, size_bytes, { readOnly: false })), size_bytes);
    pool.deactivate(id);
  } catch (error) {
    // The pool has no such device any more.
    if (!isLaminaError(error, "DATA_LOSS")) throw error;
  }
}

/** What the file system at a path has in it. */
export function usedAt(path: string): Usage {
  const status = fileSystemStatus(path);
  return { size_bytes: status.used_bytes, inodes: status.totalInodes - status.freeInodes };
}

/** What a device is made with until the size of the file system on it is known. */
const PROBE_BYTES = 1 << 20;

/**
 * Size of the file system on a device, which is the device's: the kernel does not keep the size of a thin one.
 *
 * @throws `DATA_LOSS` when there is no file system.
 */
export function sizeOnDevice(pool: ThinPool, thin: number): number {
  const active = pool.find(thin);
  const device = active ?? pool.activate(thin, PROBE_BYTES, { readOnly: true });
  const found = fileSystemOn(mapperNode(device));
  if (active === undefined) pool.deactivate(thin);
  if (found !== undefined) return found.size_bytes;
  throw new LaminaError("DATA_LOSS", `Cannot use the device ${pool.nameOf(thin)}: it has no file system any more`);
}

/** Which of the mounts show a snapshot of the pool. */
export function mountsOfPool(pool: ThinPool, entries: readonly MountEntry[]): SnapshotMount[] {
  const active = pool.active();
  const found: SnapshotMount[] = [];
  for (const { device, target, options } of entries) {
    const id = active.get(device);
    if (id !== undefined && id < THIN.firstOwn) found.push({ id, target, readOnly: options.includes("ro") });
  }
  return found;
}

/** What a device takes more than the one that it was made on. */
export function beyond(own: Usage, below: Usage): Usage {
  return {
    size_bytes: Math.max(0, own.size_bytes - below.size_bytes),
    inodes: Math.max(0, own.inodes - below.inodes),
  };
}

/** What is in the driver's directory. */
const OWN_NAMES = ["pool.img", "m", "empty"];

/** Absolute paths in the driver's directory that Lamina did not make. */
export async function strangersIn(directory: string): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
  return names.filter((name) => !OWN_NAMES.includes(name)).map((name) => join(directory, name));
}

/** Whether somebody has a device open. */
export function isInUse(pool: ThinPool, id: number): boolean {
  return (pool.find(id)?.openCount ?? 0) > 0;
}

/** @throws `CONFLICT` while somebody has the device open. */
export function refuseInUse(pool: ThinPool, id: number, verb: string): void {
  if (!isInUse(pool, id)) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot ${verb} the device ${pool.nameOf(id)}: it is in use, perhaps by a process that has it mounted in a mount ` +
      "namespace of its own. End that first",
  );
}
