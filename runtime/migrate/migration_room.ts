/** What a migration works with. */
import type { CurrentDriver } from "../../drivers/storage/current_driver.ts";
import type { DriverFactory } from "../../drivers/storage/driver_factory.ts";
import { openDriver } from "../../drivers/storage/choose_driver.ts";
import type { StorageDriver, StorageDriverName } from "../../drivers/storage/port.ts";
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerRoom } from "../container/container_room.ts";

/** Everything. */
export interface MigrationRoom {
  readonly containers: ContainerRoom;
  readonly current: CurrentDriver;
  /** All storage drivers of this program. */
  readonly factories: readonly DriverFactory[];
  /** `--storage-opt` of this start. */
  readonly storageOptions: Readonly<Record<string, string>>;
}

/**
 * Opens a driver beside the current one, and brings what it has in order.
 *
 * @throws `INVALID_ARGUMENT` (no such driver, options), `UNSUPPORTED` (it cannot work here; with the reasons).
 */
export async function openBeside(
  room: MigrationRoom,
  name: StorageDriverName,
  options: Readonly<Record<string, string>>,
  operation: Operation,
): Promise<StorageDriver> {
  const { store, engine, mounter, layout } = room.containers;
  const factory = room.factories.find((candidate) => candidate.name === name);
  if (factory === undefined) {
    const known = room.factories.map((candidate) => candidate.name).join(", ");
    throw new LaminaError("INVALID_ARGUMENT", `There is no storage driver ${JSON.stringify(name)}. Known: ${known}`);
  }
  const directoryOf = (driver: StorageDriverName) => layout.driver(driver);
  const driver = await openDriver(factory, { store, engine, mounter, options, directoryOf }, operation);
  try {
    await driver.recover(operation);
    return driver;
  } catch (error) {
    await driver[Symbol.asyncDispose]();
    throw error;
  }
}
