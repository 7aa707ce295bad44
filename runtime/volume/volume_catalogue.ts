/**
 * The catalogue of volumes: what there is, making, removing, pruning.
 *
 * A volume's data is deleted by {@linkcode VolumeCatalogue.remove} and `prune` and by nothing else; what is undone
 * after a crash is taken away with `rmdir`, which cannot remove data.
 */
import type { FoundVolume, VolumeDriver } from "../../drivers/volume/named/volume_driver.ts";
import { maskedOptions } from "../../drivers/volume/named/local/local_options.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { VolumeFilters, VolumeListing, VolumePruneOptions, VolumeSpace } from "../core/model/volume.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import type { Volume, VolumeCreate } from "../core/specs/volume.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent } from "../store/journal.ts";
import { snapshotCount } from "./volume_snapshots.ts";
import type { VolumeAccess } from "./volume_access.ts";
import { volumeFilter } from "./volume_filters.ts";
import type { VolumeLifecycle } from "./volume_lifecycle.ts";
import { refuseUsed, volumeLock, type VolumeRoom } from "./volume_room.ts";
import {
  findVolumeRow,
  insertVolumeRow,
  namedVolume,
  type NewVolumeRow,
  readyVolumeRows,
  refuseOther,
  setVolumeState,
  usersOfVolume,
  usersOfVolumes,
  type VolumeRow,
  volumeRow,
} from "./volume_rows.ts";

/** See the head of the file. */
export class VolumeCatalogue {
  readonly #room: VolumeRoom;
  readonly #lifecycle: VolumeLifecycle;
  readonly #access: VolumeAccess;

  constructor(room: VolumeRoom, lifecycle: VolumeLifecycle, access: VolumeAccess) {
    this.#room = room;
    this.#lifecycle = lifecycle;
    this.#access = access;
  }

  /** See `VolumeService`. */
  async create(spec: VolumeCreate, operation: Operation): Promise<Volume> {
    return await this.createWith(this.#lifecycle.newRow(spec), operation);
  }

  /**
   * Makes a volume that has something in it from the beginning.
   *
   * @param fill Called with the volume's lock held, before anybody can see the volume; when it fails there is none.
   */
  async createWith(
    wanted: NewVolumeRow,
    operation: Operation,
    fill?: (row: VolumeRow) => Promise<void>,
  ): Promise<Volume> {
    if (!wanted.anonymous && findVolumeRow(this.#room.store, wanted.name) === undefined) {
      await this.#lifecycle.plugins.refuseTaken(wanted.name, wanted.driver, operation);
    }
    using _lock = await this.#room.locks.acquire(volumeLock(wanted.name), operation.signal);
    const existing = findVolumeRow(this.#room.store, wanted.name);
    if (existing !== undefined) {
      if (fill !== undefined) throw takenName(wanted.name);
      refuseOther(existing, wanted);
      return this.#show(existing);
    }
    const intent = await this.#room.store.write((tx) => {
      insertVolumeRow(tx, wanted, "creating");
      return beginIntent(tx, fill === undefined ? "volume.create" : "volume.fill", wanted.name, {});
    });
    faultPoint("volume.create_begun");
    try {
      operation.signal.throwIfAborted();
      if (fill === undefined) await this.#lifecycle.makeDirectories([wanted.name], operation);
      else await fill(findVolumeRow(this.#room.store, wanted.name)!);
      faultPoint("volume.directory_made");
      await this.#room.store.write((tx) => {
        setVolumeState(tx, wanted.name, "ready");
        endIntent(tx, intent);
      });
    } catch (error) {
      if (fill !== undefined) await this.#lifecycle.dropFilled(intent, undoing());
      else {
        const forget = await this.#lifecycle.undoCreate([wanted.name]);
        await this.#room.store.write((tx) => {
          forget(tx);
          endIntent(tx, intent);
        }, { frees: true });
      }
      throw error;
    }
    faultPoint("volume.create_finished");
    this.#lifecycle.announce([wanted.name]);
    return this.inspect(wanted.name);
  }

  /** See `VolumeService`. */
  list(filters: VolumeFilters = {}): Volume[] {
    const fits = volumeFilter(filters);
    const users = usersOfVolumes(this.#room.store);
    return readyVolumeRows(this.#room.store)
      .map((row) => this.#show(row, users.get(row.name) ?? []))
      .filter((volume) => fits({ ...volume, users: volume.used_by.length }));
  }

  /** See `VolumeService`. */
  async listWithPlugins(filters: VolumeFilters, operation: Operation): Promise<VolumeListing> {
    const fits = volumeFilter(filters);
    const { volumes, warnings } = await this.#lifecycle.plugins.list(operation);
    // After the plugins have answered: what was made meanwhile is in here.
    const known = this.list(filters);
    const names = new Set(readyVolumeRows(this.#room.store).map(({ name }) => name));
    const others = volumes.filter(({ found }) => !names.has(found.name) && names.add(found.name))
      .map(({ driver, found }) => foreignVolume(driver, found))
      .filter((volume) => fits({ ...volume, users: 0 }));
    const all = [...known, ...others].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    return { volumes: all, warnings: [...warnings] };
  }

  /** See `VolumeService`. @throws `NOT_FOUND` */
  async inspectWithPlugins(name: string, operation: Operation): Promise<Volume> {
    const row = findVolumeRow(this.#room.store, name);
    if (row?.state !== "ready") {
      const { volumes: [first], warnings } = await this.#lifecycle.plugins.find(name, operation);
      if (first !== undefined && findVolumeRow(this.#room.store, name) === undefined) {
        return foreignVolume(first.driver, first.found);
      }
      return this.#showOrTell(name, warnings);
    }
    const driver = this.#room.drivers.find(row.driver);
    const status = driver && await this.#lifecycle.plugins.statusOf(driver, name, operation);
    return { ...this.inspect(name), ...(status === undefined ? {} : { status: { ...status } }) };
  }

  /** A volume may be there after all, at a plugin that did not answer. */
  #showOrTell(name: string, warnings: readonly string[]): Volume {
    try {
      return this.inspect(name);
    } catch (error) {
      if (!isLaminaError(error, "NOT_FOUND") || warnings.length === 0) throw error;
      throw new LaminaError("NOT_FOUND", `${error.message}. Not asked: ${warnings.join("; ")}`, {
        cause: error,
        details: error.details,
      });
    }
  }

  /** See `VolumeService`. @throws `NOT_FOUND` */
  inspect(name: string): Volume {
    return this.#show(volumeRow(this.#room.store, name));
  }

  /** See `VolumeService`. @throws `NOT_FOUND` */
  async space(name: string, operation: Operation): Promise<VolumeSpace> {
    const { driver, volume } = this.#lifecycle.find(volumeRow(this.#room.store, name));
    return await driver.usage?.(volume, operation) ?? { used_bytes: 0 };
  }

  /** See `VolumeService`. */
  async remove(
    name: string,
    operation: Operation,
    options: { readonly force?: boolean } = {},
  ): Promise<RemovalResult> {
    await this.#lifecycle.plugins.adopt([name], operation);
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    if (options.force && findVolumeRow(this.#room.store, name)?.state !== "ready") {
      return { untagged: [], deleted: [], reclaimed_bytes: 0 };
    }
    return await this.#remove(volumeRow(this.#room.store, name), operation);
  }

  /** See `VolumeService`. */
  async prune(options: VolumePruneOptions, operation: Operation): Promise<RemovalResult> {
    const fits = volumeFilter(options.filters ?? {});
    const result: RemovalResult = { untagged: [], deleted: [], reclaimed_bytes: 0 };
    for (const volume of this.list()) {
      const prunable = (options.all === true || volume.anonymous) && volume.used_by.length === 0 &&
        volume.driver === "local" && Object.keys(volume.options).length === 0;
      if (!prunable || !fits({ ...volume, users: 0 })) continue;
      operation.signal.throwIfAborted();
      try {
        const { deleted, reclaimed_bytes } = await this.remove(volume.name, operation);
        result.deleted.push(...deleted);
        result.reclaimed_bytes += reclaimed_bytes;
      } catch (error) {
        // It got a user, a snapshot or a mount meanwhile, or went.
        if (!isLaminaError(error, "CONFLICT", "NOT_FOUND")) throw error;
      }
    }
    return result;
  }

  /** Who uses a volume, on record or now. */
  users(name: string): string[] {
    return withUnrecorded(usersOfVolume(this.#room.store, name), this.#access.usersOf(name));
  }

  async #remove(row: VolumeRow, operation: Operation): Promise<RemovalResult> {
    const { name } = row;
    refuseUsed(`Cannot remove volume "${name}"`, name, this.users(name));
    const snapshots = snapshotCount(this.#room.store, name);
    if (snapshots > 0) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot remove volume "${name}": it has snapshots (${snapshots}). ` +
          `"lamina volume snapshots --remove SNAPSHOT ${name}" removes one`,
        { details: { volume: name } },
      );
    }
    await this.#access.unmountIdle(name, operation);
    const size_bytes = await this.#size(row, operation);
    const { driver, volume } = this.#lifecycle.find(row);
    if (driver === this.#room.local) this.#room.local.refuseMounts(volume);
    const intent = await this.#room.store.write((tx) => this.#lifecycle.beginRemove(tx, name), { frees: true });
    faultPoint("volume.remove_begun");
    await this.#lifecycle.finishRemove(intent, operation);
    return { untagged: [], deleted: [name], reclaimed_bytes: size_bytes };
  }

  #show(row: VolumeRow, recorded: readonly string[] = usersOfVolume(this.#room.store, row.name)): Volume {
    const driver = this.#room.drivers.find(row.driver);
    const volume = namedVolume(row);
    return {
      name: row.name,
      driver: row.driver,
      scope: driver?.scope ?? "local",
      options: maskedOptions(volume.options),
      labels: JSON.parse(row.labels),
      mountpoint: driver === undefined ? "" : this.#access.pathOf(row.name),
      usable: driver !== undefined && (!driver.needsMount(volume) || driver.isMounted(volume)),
      anonymous: row.anonymous === 1,
      created_at: new Date(row.created_at_ms).toISOString(),
      used_by: withUnrecorded(recorded, this.#access.usersOf(row.name)),
    };
  }

  async #size(row: VolumeRow, operation: Operation): Promise<number> {
    try {
      const { driver, volume } = this.#lifecycle.find(row);
      return (await driver.usage?.(volume, operation))?.used_bytes ?? 0;
    } catch (error) {
      // A volume that lost its directory can still be removed.
      if (isLaminaError(error, "NOT_FOUND")) return 0;
      throw error;
    }
  }
}

/** A volume that only its plugin knows. */
function foreignVolume(driver: VolumeDriver, found: FoundVolume): Volume {
  const { name, mountpoint, created_at, status } = found;
  return {
    name,
    driver: driver.name,
    scope: driver.scope,
    options: {},
    labels: {},
    mountpoint,
    usable: mountpoint !== "",
    anonymous: false,
    ...(created_at === undefined ? {} : { created_at }),
    used_by: [],
    ...(status === undefined ? {} : { status: { ...status } }),
  };
}

/** A volume that is to be filled must not exist. */
function takenName(name: string): LaminaError {
  return new LaminaError(
    "ALREADY_EXISTS",
    `Cannot create volume "${name}": one of that name exists. Remove it or choose another name`,
    { details: { volume: name } },
  );
}

/** Users that no row tells of: operations and pods that have it mounted now. */
function withUnrecorded(recorded: readonly string[], now: readonly string[]): string[] {
  return [...recorded, ...now.filter((user) => !recorded.includes(user))];
}

function undoing(): Operation {
  return { signal: AbortSignal.timeout(60_000), progress: () => {} };
}
