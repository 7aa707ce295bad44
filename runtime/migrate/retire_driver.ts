/** Takes away everything that a storage driver holds: the old data after a migration, the copies of one given up. */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { isLaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import { mountsBelow } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import { readMountTable } from "../host/mount_table.ts";
import type { MigrationRoom } from "./migration_room.ts";

/**
 * Removes all snapshots of a driver and what else it has, and disposes it. Idempotent: after a crash the rest goes the
 * next time.
 */
export async function retireDriver(room: MigrationRoom, driver: StorageDriver, operation: Operation): Promise<void> {
  const directory = room.containers.layout.driver(driver.name);
  {
    await using _closing = driver;
    await removeSnapshots(driver, () => true, operation);
    await driver.cleanup(operation);
    await driver.retire(operation);
  }
  // What is still mounted there is somebody else's.
  if (mountsBelow(readMountTable(), directory).length > 0) return;
  await room.containers.engine.removeTree(directory, operation);
  faultPoint("migrate.old_data_gone");
}

/** Removes those snapshots that `unwanted` says, and what is made on them: children first. */
export async function removeSnapshots(
  driver: StorageDriver,
  unwanted: (key: SnapshotKey) => boolean,
  operation: Operation,
): Promise<void> {
  const children = new Map<string, SnapshotKey[]>();
  const order = new Set<SnapshotKey>();
  for await (const { key, parent } of driver.walk()) {
    if (parent !== undefined) children.set(parent, [...children.get(parent) ?? [], key]);
    if (unwanted(key)) order.add(key);
  }
  // A set visits what is added on the way, too. Added anew at the end: whatever has two reasons goes after the later one.
  for (const key of order) {
    for (const child of children.get(key) ?? []) {
      order.delete(child);
      order.add(child);
    }
  }
  for (const [done, key] of [...order].reverse().entries()) {
    operation.signal.throwIfAborted();
    operation.progress({ phase: "remove", id: driver.name, current: done, total: order.size, unit: "steps" });
    try {
      await driver.remove(key, operation);
    } catch (error) {
      if (!isLaminaError(error, "NOT_FOUND")) throw error;
    }
    faultPoint("migrate.old_snapshot_gone");
  }
}
