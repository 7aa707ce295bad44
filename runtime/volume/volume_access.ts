/**
 * Who has which volume mounted: a volume that has to be mounted is so from its first user to its last. What needs no
 * mounting costs nothing here.
 *
 * Counted in this process only. After a restart whoever has volumes says so again ({@linkcode VolumeAccess.acquire}
 * finds the mounts that are there); {@linkcode VolumeAccess.settle} then unmounts what nobody has.
 */
import type { NamedVolume, VolumeDriver } from "../../drivers/volume/named/volume_driver.ts";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { currentMountTable } from "../host/mount_table.ts";
import { findVolumeRow, namedVolume, readyVolumeRows, volumeRow } from "./volume_rows.ts";
import type { VolumeRoom } from "./volume_room.ts";

/** Whoever uses volumes: a container, a client of the volume plugin, the volume manager, an operation. */
export interface VolumeUser {
  /** Unique among all users. */
  readonly id: string;
  /** For people, e.g. `container "web"`. */
  readonly name: string;
}

/** See the head of the file. */
export class VolumeAccess {
  readonly #room: VolumeRoom;
  /** By volume: its users by id, and where its data is. */
  readonly #held = new Map<string, { readonly users: Map<string, string>; path: string }>();

  constructor(room: VolumeRoom) {
    this.#room = room;
  }

  /** False: its data is at {@linkcode pathOf} at any time. Never waits. @throws `NOT_FOUND` */
  needsMounting(name: string): boolean {
    const { driver, volume } = this.#find(name);
    return driver.needsMount(volume);
  }

  /** Host path of its data, as last known; empty for a plugin's that was not mounted yet. Never waits. @throws `NOT_FOUND` */
  pathOf(name: string): string {
    const held = this.#held.get(name);
    if (held !== undefined) return held.path;
    const { driver, volume } = this.#find(name);
    return driver.mountpoint(volume);
  }

  /** Names of those who have it mounted. */
  usersOf(name: string): string[] {
    return [...this.#held.get(name)?.users.values() ?? []].sort();
  }

  /**
   * Makes volumes usable for `user`, until {@linkcode release}. Again for the same user is success, and mounts what was
   * unmounted meanwhile.
   *
   * @param options `hold`: count the user also where nothing has to be mounted, so that nobody removes the volume.
   * @returns host paths by name of volume.
   * @throws `NOT_FOUND`, and what the driver's mount throws; what this call has mounted is unmounted again then.
   */
  async acquire(
    user: VolumeUser,
    names: Iterable<string>,
    operation: Operation,
    options: { readonly hold?: boolean } = {},
  ): Promise<Map<string, string>> {
    const paths = new Map<string, string>();
    const added: string[] = [];
    try {
      for (const name of new Set(names)) {
        const { driver, volume } = this.#find(name);
        const mounts = driver.needsMount(volume);
        if (!mounts && options.hold !== true) {
          paths.set(name, driver.mountpoint(volume));
          continue;
        }
        using _lock = await this.#room.locks.acquire(mountLock(name), operation.signal);
        const path = mounts ? await driver.mount(volume, operation) : driver.mountpoint(volume);
        const held = this.#held.get(name) ?? { users: new Map<string, string>(), path };
        if (!held.users.has(user.id)) added.push(name);
        held.users.set(user.id, user.name);
        held.path = path;
        this.#held.set(name, held);
        paths.set(name, path);
      }
    } catch (error) {
      for (const name of added) await this.#leave(name, user.id, undoing());
      throw error;
    }
    return paths;
  }

  /**
   * The user has none of its volumes any more; those without users are unmounted. A volume that cannot be unmounted
   * stays mounted, and is tried again with its next user, removal or start.
   */
  async release(userId: string, operation: Operation, names?: Iterable<string>): Promise<void> {
    const mine = [...this.#held].filter(([, { users }]) => users.has(userId)).map(([name]) => name);
    const wanted = names === undefined ? undefined : new Set(names);
    for (const name of mine) if (wanted?.has(name) ?? true) await this.#leave(name, userId, operation);
  }

  /** Unmounts a volume that nobody has. The caller holds the volume's lock. @throws what unmounting throws. */
  async unmountIdle(name: string, operation: Operation): Promise<void> {
    const { driver, volume } = this.#find(name);
    using _lock = await this.#room.locks.acquire(mountLock(name), operation.signal);
    if (this.#held.has(name) || !driver.needsMount(volume) || !driver.isMounted(volume)) return;
    // Whoever sees it there may be somebody whom we do not count.
    if (isBoundElsewhere(driver.mountpoint(volume))) return;
    await driver.unmount(volume, operation);
  }

  /** Volumes that are mounted though nobody has them. */
  idle(): string[] {
    return readyVolumeRows(this.#room.store).filter((row) => {
      const driver = this.#room.drivers.find(row.driver);
      const volume = namedVolume(row);
      return driver !== undefined && !this.#held.has(row.name) && driver.needsMount(volume) &&
        driver.isMounted(volume) && !isBoundElsewhere(driver.mountpoint(volume));
    }).map(({ name }) => name);
  }

  /** Called once after a start, when all who have volumes have said so: unmounts what nobody has. */
  async settle(operation: Operation): Promise<void> {
    for (const name of this.idle()) {
      try {
        await this.unmountIdle(name, operation);
      } catch (error) {
        operation.signal.throwIfAborted();
        this.#report(name, error);
      }
    }
  }

  async #leave(name: string, userId: string, operation: Operation): Promise<void> {
    using _lock = await this.#room.locks.acquire(mountLock(name), operation.signal);
    const held = this.#held.get(name);
    if (held === undefined || !held.users.delete(userId) || held.users.size > 0) return;
    this.#held.delete(name);
    try {
      const { driver, volume } = this.#find(name);
      if (driver.needsMount(volume)) await driver.unmount(volume, operation);
    } catch (error) {
      if (isLaminaError(error, "NOT_FOUND")) return;
      this.#report(name, error);
    }
  }

  #report(name: string, error: unknown): void {
    this.#room.events.emit({
      kind: "volume",
      action: "unmount_failed",
      id: name,
      name,
      attributes: { message: messageOf(error) },
    });
  }

  #find(name: string): { readonly driver: VolumeDriver; readonly volume: NamedVolume } {
    const found = findVolumeRow(this.#room.store, name);
    // One that is being made belongs to whoever makes it, who may use it already.
    const row = found?.state === "creating" ? found : volumeRow(this.#room.store, name);
    const driver = this.#room.drivers.find(row.driver);
    if (driver !== undefined) return { driver, volume: namedVolume(row) };
    throw new LaminaError(
      "UNAVAILABLE",
      `Cannot use volume "${name}": its driver "${row.driver}" is not there. Start the plugin of that name`,
      { details: { volume: name, driver: row.driver } },
    );
  }
}

/** Mounting and unmounting one volume, whoever holds the volume itself. */
function mountLock(name: string): string {
  return `volume-mount:${name}`;
}

/** What is mounted at a path is seen somewhere else, too: somebody uses it whom we do not know (yet). */
function isBoundElsewhere(path: string): boolean {
  const table = currentMountTable();
  const mount = table.findLast(({ target }) => target === path);
  return mount !== undefined &&
    table.some(({ device, root, target }) => device === mount.device && root === mount.root && target !== path);
}

function undoing(): Operation {
  return { signal: AbortSignal.timeout(60_000), progress: () => {} };
}
