/**
 * Volumes that drivers have whose volumes others can make, too: plugins. All drivers are asked at once, each for a
 * bounded time; one that does not answer hides nothing but its own volumes.
 */
import type { FoundVolume, VolumeDriver } from "../../drivers/volume/named/volume_driver.ts";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import { VolumeName } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { volumeLock, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, insertVolumeRow } from "./volume_rows.ts";

/** A volume and who has it. */
export interface PluginVolume {
  readonly driver: VolumeDriver;
  readonly found: FoundVolume;
}

/** What was found, and what could not be learned. */
export interface PluginAnswers {
  readonly volumes: readonly PluginVolume[];
  /** A sentence for each driver that did not tell. */
  readonly warnings: readonly string[];
}

/** See the head of the file. */
export class PluginVolumes {
  readonly #room: VolumeRoom;

  constructor(room: VolumeRoom) {
    this.#room = room;
  }

  /** All of them. */
  async list(operation: Operation): Promise<PluginAnswers> {
    return await this.#ask(operation, async (driver) => {
      const volumes = await driver.list?.(operation) ?? [];
      const usable = volumes.filter(({ name }) => VolumeName.safeParse(name).success);
      const hidden = volumes.length - usable.length;
      const warnings = hidden === 0
        ? []
        : [`Volume plugin "${driver.name}" has ${hidden} volumes whose names are none for Docker`];
      return { volumes: usable, warnings };
    });
  }

  /** Those of one name. */
  async find(name: string, operation: Operation): Promise<PluginAnswers> {
    if (!VolumeName.safeParse(name).success) return { volumes: [], warnings: [] };
    return await this.#ask(operation, async (driver) => {
      const found = await driver.get?.(name, operation);
      return { volumes: found?.name === name ? [found] : [], warnings: [] };
    });
  }

  /** What the driver of a volume of the catalogue says of it; where it does not, why. */
  async statusOf(driver: VolumeDriver, name: string, operation: Operation): Promise<FoundVolume["status"]> {
    try {
      return (await driver.get?.(name, operation))?.status;
    } catch (error) {
      operation.signal.throwIfAborted();
      if (!isLaminaError(error)) throw error;
      return { error: error.message };
    }
  }

  /**
   * Takes volumes that only a plugin knows into the catalogue, so that containers and other users can have them. Names
   * that nobody knows, and those that the catalogue has, are left alone.
   */
  async adopt(names: Iterable<string>, operation: Operation): Promise<void> {
    const unknown = [...new Set(names)].filter((name) => findVolumeRow(this.#room.store, name) === undefined);
    await Promise.all(unknown.map(async (name) => {
      const [first] = (await this.find(name, operation)).volumes;
      if (first === undefined) return;
      const { driver, found: { created_at } } = first;
      using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
      // One that was made meanwhile is somebody's already.
      if (findVolumeRow(this.#room.store, name) !== undefined) return;
      const row = { name, driver: driver.name, options: {}, labels: {}, anonymous: false };
      const created_at_ms = created_at === undefined ? Date.now() : Date.parse(created_at);
      await this.#room.store.write((tx) => insertVolumeRow(tx, row, "ready", created_at_ms));
      this.#room.events.emit({ kind: "volume", action: "adopt", id: name, name, attributes: { driver: driver.name } });
    }));
  }

  /** @throws `CONFLICT`: another driver has a volume of that name, which would be hidden by the new one */
  async refuseTaken(name: string, driver: string, operation: Operation): Promise<void> {
    const { volumes } = await this.find(name, operation);
    const other = volumes.find((one) => one.driver.name !== driver);
    if (other === undefined || volumes.some((one) => one.driver.name === driver)) return;
    throw new LaminaError(
      "CONFLICT",
      `Cannot create volume "${name}": plugin "${other.driver.name}" has one of that name. Use another name, or ask for ` +
        "that driver",
      { details: { volume: name, driver: other.driver.name } },
    );
  }

  async #ask(
    operation: Operation,
    question: (driver: VolumeDriver) => Promise<{ volumes: readonly FoundVolume[]; warnings: readonly string[] }>,
  ): Promise<PluginAnswers> {
    const { drivers, local } = this.#room;
    const names = drivers.names().filter((name) => name !== local.name);
    const answers = await Promise.all(names.map(async (name) => {
      try {
        const driver = drivers.find(name);
        if (driver === undefined) return { volumes: [], warnings: [] };
        const { volumes, warnings } = await question(driver);
        return { volumes: volumes.map((found) => ({ driver, found })), warnings };
      } catch (error) {
        operation.signal.throwIfAborted();
        return { volumes: [], warnings: [messageOf(error)] };
      }
    }));
    return {
      volumes: answers.flatMap(({ volumes }) => volumes),
      warnings: answers.flatMap(({ warnings }) => warnings),
    };
  }
}
