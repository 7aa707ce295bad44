/**
 * Who has which volume mounted: the front of the volume manager for volumes of the catalogue. A volume that has to be
 * mounted is so from its first user to its last; what needs no mounting costs nothing here.
 *
 * After a restart whoever has volumes says so again ({@linkcode VolumeAccess.acquire} finds the mounts that are there);
 * what nobody has by then the manager unmounts.
 */
import {
  type DrivenVolume,
  NAMED_VOLUMES,
  namedVolumeSpec,
  type VolumeLookup,
} from "../../drivers/volume/named/named_volume_plugin.ts";
import type { VolumeDrivers } from "../../drivers/volume/named/volume_drivers.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { currentMountTable } from "../host/mount_table.ts";
import type { Store } from "../store/store.ts";
import type { VolumeManager } from "./manager/port.ts";
import { findVolumeRow, namedVolume, readyVolumeRows, type VolumeRow, volumeRow } from "./volume_rows.ts";

/** Whoever uses volumes: a container, a client of the volume plugin, an operation. */
export interface VolumeUser {
  /** Unique among all users; letters, digits, `-` and `.`. */
  readonly id: string;
  /** For people: name of the container, or words such as `a backup`. */
  readonly name: string;
  /** Default: `client`. */
  readonly kind?: "container" | "client";
}

/** Volumes of a root with what mounts them. */
export function volumeLookup(store: Store, drivers: VolumeDrivers): VolumeLookup {
  const withDriver = (row: VolumeRow): DrivenVolume => {
    const driver = drivers.find(row.driver);
    if (driver !== undefined) return { driver, volume: namedVolume(row) };
    throw new LaminaError(
      "UNAVAILABLE",
      `Cannot use volume "${row.name}": its driver "${row.driver}" is not there. Start the plugin of that name`,
      { details: { volume: row.name, driver: row.driver } },
    );
  };
  return {
    find(name) {
      const row = findVolumeRow(store, name);
      return row === undefined ? undefined : withDriver(row);
    },
    get(name) {
      const found = findVolumeRow(store, name);
      // One that is being made belongs to whoever makes it, who may use it already.
      return withDriver(found !== undefined && found.state !== "removing" ? found : volumeRow(store, name));
    },
  };
}

/** See the head of the file. */
export class VolumeAccess {
  readonly #volumes: VolumeLookup;
  readonly #store: Store;
  readonly #manager: VolumeManager;
  /** Users of volumes that need no mounting and must not go all the same, by their ids. */
  readonly #holds = new Map<string, { readonly name: string; readonly volumes: ReadonlySet<string> }>();

  constructor(store: Store, volumes: VolumeLookup, manager: VolumeManager) {
    this.#store = store;
    this.#volumes = volumes;
    this.#manager = manager;
  }

  /** False: its data is at {@linkcode pathOf} at any time. Never waits. @throws `NOT_FOUND` */
  needsMounting(name: string): boolean {
    const { driver, volume } = this.#volumes.get(name);
    return driver.needsMount(volume);
  }

  /** Host path of its data, as last known; empty for a plugin's that was not mounted yet. Never waits. @throws `NOT_FOUND` */
  pathOf(name: string): string {
    const { driver, volume } = this.#volumes.get(name);
    return driver.mountpoint(volume);
  }

  /** Names of those who have it now, besides the containers, which the catalogue knows. */
  usersOf(name: string): string[] {
    const users = this.#manager.device(NAMED_VOLUMES, name).users.filter(({ kind }) => kind !== "container");
    const holders = [...this.#holds.values()].filter(({ volumes }) => volumes.has(name));
    return [...new Set([...users, ...holders].map((user) => user.name))].sort();
  }

  /**
   * Makes volumes usable for `user`, until {@linkcode release}: all that it has. Again for the same user is success, and
   * mounts what was unmounted meanwhile.
   *
   * @param options `hold`: count the user also where nothing has to be mounted, so that nobody removes the volume.
   * @returns host paths by name of volume.
   * @throws `NOT_FOUND`, and what the driver's mount throws; a user that had nothing before has nothing then.
   */
  async acquire(
    user: VolumeUser,
    names: Iterable<string>,
    operation: Operation,
    options: { readonly hold?: boolean } = {},
  ): Promise<Map<string, string>> {
    const paths = new Map<string, string>();
    const mounted: string[] = [];
    for (const name of new Set(names)) {
      const { driver, volume } = this.#volumes.get(name);
      if (driver.needsMount(volume)) mounted.push(name);
      else paths.set(name, driver.mountpoint(volume));
    }
    if (options.hold === true) this.#holds.set(user.id, { name: user.name, volumes: new Set(paths.keys()) });
    if (mounted.length === 0) return paths;
    const { id: uid, name, kind = "client" } = user;
    const isNew = !this.#manager.wants(uid);
    this.#manager.desire({
      workload: { kind, uid, name, namespace: "" },
      volumes: mounted.map((volume) => ({ spec: namedVolumeSpec(volume) })),
    });
    try {
      const ready = await this.#manager.ready(uid, operation, { failFast: true });
      return new Map([...paths, ...ready]);
    } catch (error) {
      if (isNew) await this.release(uid, undoing());
      throw reasonOf(error);
    }
  }

  /**
   * The user has none of its volumes any more. Waits until those that nobody else has are unmounted; one that cannot be
   * unmounted now is told as an event, and the manager goes on trying.
   */
  async release(userId: string, operation: Operation): Promise<void> {
    this.#holds.delete(userId);
    if (!this.#manager.wants(userId)) return;
    this.#manager.release(userId);
    // Early in a start nothing is unmounted.
    if (!this.#manager.isComplete) return;
    try {
      await this.#manager.gone(userId, operation, { failFast: true });
    } catch (error) {
      if (!isLaminaError(error)) throw error;
    }
  }

  /** Unmounts a volume that nobody has. The caller holds the volume's lock. @throws what unmounting throws. */
  async unmountIdle(name: string, operation: Operation): Promise<void> {
    const { driver, volume } = this.#volumes.get(name);
    if (!driver.needsMount(volume)) return;
    try {
      await this.#manager.deviceGone(NAMED_VOLUMES, name, operation);
    } catch (error) {
      throw reasonOf(error);
    }
    if (!this.#isStray({ driver, volume })) return;
    await driver.unmount(volume, operation);
  }

  /** Volumes that are mounted though nobody has them, and stay so. */
  idle(): string[] {
    return readyVolumeRows(this.#store).filter((row) => {
      const { isHere, users, error } = this.#manager.device(NAMED_VOLUMES, row.name);
      if (isHere && (users.length > 0 || error === undefined)) return false;
      try {
        return this.#isStray(this.#volumes.get(row.name));
      } catch (error) {
        // Of a plugin that is not there nobody can tell.
        if (isLaminaError(error, "UNAVAILABLE", "NOT_FOUND")) return false;
        throw error;
      }
    }).map(({ name }) => name);
  }

  /** Called once after a start, when containers and clients have said what they have: unmounts what is nobody's. */
  async settle(operation: Operation): Promise<void> {
    for (const name of this.idle()) {
      try {
        await this.unmountIdle(name, operation);
      } catch (error) {
        // "lamina check" tells of it.
        if (!isLaminaError(error)) throw error;
      }
    }
  }

  /** Mounted, though the manager has nothing to do with it; and not seen elsewhere, by somebody whom nobody counts. */
  #isStray({ driver, volume }: DrivenVolume): boolean {
    if (this.#manager.device(NAMED_VOLUMES, volume.name).users.length > 0) return false;
    return driver.needsMount(volume) && driver.isMounted(volume) && !isBoundElsewhere(driver.mountpoint(volume));
  }
}

/** The driver's own words: who asks knows for what. */
function reasonOf(error: unknown): unknown {
  return error instanceof LaminaError && error.cause instanceof LaminaError ? error.cause : error;
}

/** What is mounted at a path is seen somewhere else, too. */
function isBoundElsewhere(path: string): boolean {
  const table = currentMountTable();
  const mount = table.findLast(({ target }) => target === path);
  return mount !== undefined &&
    table.some(({ device, root, target }) => device === mount.device && root === mount.root && target !== path);
}

function undoing(): Operation {
  return { signal: AbortSignal.timeout(60_000), progress: () => {} };
}
