/**
 * The catalogue of volumes: rows, and the directories of the driver `local`.
 *
 * A volume's directory is user data. It is deleted by {@linkcode VolumeCatalogue.remove} and `prune` and by nothing
 * else; what is undone after a crash is taken away with `rmdir`, which cannot remove data.
 */
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import { parseSpec } from "../core/specs/parse_spec.ts";
import { type Volume, VolumeCreate } from "../core/specs/volume.ts";
import { faultPoint } from "../host/faults.ts";
import type { VolumeService } from "../services.ts";
import { beginIntent, endIntent } from "../store/journal.ts";
import { refuseMountsInVolume, volumeDirectory } from "./volume_directories.ts";
import { type VolumeLifecycle, volumeLock, type VolumeRoom } from "./volume_lifecycle.ts";
import {
  findVolumeRow,
  insertVolumeRow,
  type NewVolumeRow,
  readyVolumeRows,
  setVolumeState,
  usersOfVolume,
  usersOfVolumes,
  volumeOfRow,
  type VolumeRow,
} from "./volume_rows.ts";

/** Marks volumes that nobody named, as Docker does. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

/** See the head of the file. */
export class VolumeCatalogue implements VolumeService {
  readonly #room: VolumeRoom;
  readonly #lifecycle: VolumeLifecycle;

  constructor(room: VolumeRoom, lifecycle: VolumeLifecycle) {
    this.#room = room;
    this.#lifecycle = lifecycle;
  }

  /**
   * Makes a volume. One of that name with the same driver and options is returned as it is.
   *
   * @throws `UNSUPPORTED` (driver or option), `CONFLICT` (it exists with another driver or other options).
   */
  async create(spec: VolumeCreate, operation: Operation): Promise<Volume> {
    const wanted = newVolumeRow(parseSpec(VolumeCreate, spec, "volume"));
    using _lock = await this.#room.locks.acquire(volumeLock(wanted.name), operation.signal);
    const existing = findVolumeRow(this.#room.store, wanted.name);
    if (existing !== undefined) {
      refuseOther(existing, wanted);
      return this.#show(existing);
    }
    const intent = await this.#room.store.write((tx) => {
      insertVolumeRow(tx, wanted, "creating");
      return beginIntent(tx, "volume.create", wanted.name, {});
    });
    faultPoint("volume.create_begun");
    try {
      operation.signal.throwIfAborted();
      await this.#lifecycle.makeDirectories([wanted.name]);
      faultPoint("volume.directory_made");
      await this.#room.store.write((tx) => {
        setVolumeState(tx, wanted.name, "ready");
        endIntent(tx, intent);
      });
    } catch (error) {
      const forget = await this.#lifecycle.undoCreate([wanted.name]);
      await this.#room.store.write((tx) => {
        forget(tx);
        endIntent(tx, intent);
      }, { frees: true });
      throw error;
    }
    faultPoint("volume.create_finished");
    this.#lifecycle.announce([wanted.name]);
    return this.inspect(wanted.name);
  }

  /** See {@linkcode VolumeService}. */
  list(): Volume[] {
    const users = usersOfVolumes(this.#room.store);
    return readyVolumeRows(this.#room.store).map((row) =>
      volumeOfRow(row, this.#room.layout, users.get(row.name) ?? [])
    );
  }

  /** See {@linkcode VolumeService}. @throws `NOT_FOUND` */
  inspect(name: string): Volume {
    return this.#show(this.#get(name));
  }

  /**
   * Removes a volume and its data.
   *
   * @throws `NOT_FOUND`; `CONFLICT` while containers use it (names them) or something is mounted below it.
   */
  async remove(name: string, operation: Operation): Promise<RemovalResult> {
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    this.#get(name);
    const users = usersOfVolume(this.#room.store, name);
    if (users.length > 0) {
      const shown = users.slice(0, 5).map((user) => `"${user}"`).join(", ") + (users.length > 5 ? ", …" : "");
      throw new LaminaError(
        "CONFLICT",
        `Cannot remove volume "${name}": container ${shown} uses it. Remove the container first`,
        { details: { volume: name, used_by: users.slice(0, 100) } },
      );
    }
    refuseMountsInVolume(this.#room.layout, name);
    const size_bytes = await this.#size(name, operation);
    const intent = await this.#room.store.write((tx) => this.#lifecycle.beginRemove(tx, name), { frees: true });
    faultPoint("volume.remove_begun");
    await this.#lifecycle.finishRemove(intent, operation);
    return { untagged: [], deleted: [name], reclaimed_bytes: size_bytes };
  }

  /** Unused anonymous volumes, or with `all` every unused one. Those that get a user meanwhile stay. */
  async prune(options: { readonly all: boolean }, operation: Operation): Promise<RemovalResult> {
    const users = usersOfVolumes(this.#room.store);
    const result: RemovalResult = { untagged: [], deleted: [], reclaimed_bytes: 0 };
    for (const row of readyVolumeRows(this.#room.store)) {
      if (users.has(row.name) || !(options.all || row.anonymous === 1)) continue;
      try {
        const { deleted, reclaimed_bytes } = await this.remove(row.name, operation);
        result.deleted.push(...deleted);
        result.reclaimed_bytes += reclaimed_bytes;
      } catch (error) {
        if (!isLaminaError(error, "CONFLICT", "NOT_FOUND")) throw error;
      }
    }
    return result;
  }

  #get(name: string): VolumeRow {
    const row = findVolumeRow(this.#room.store, name);
    if (row?.state === "ready") return row;
    throw new LaminaError(
      "NOT_FOUND",
      `There is no volume ${JSON.stringify(name.slice(0, 80))}. "lamina volume ls" shows those that exist`,
      { details: { volume: name.slice(0, 80) } },
    );
  }

  #show(row: VolumeRow): Volume {
    return volumeOfRow(row, this.#room.layout, usersOfVolume(this.#room.store, row.name));
  }

  async #size(name: string, operation: Operation): Promise<number> {
    try {
      return (await this.#room.engine.usage(volumeDirectory(this.#room.layout, name), operation)).size_bytes;
    } catch (error) {
      // A volume that lost its directory can still be removed.
      if (isLaminaError(error, "NOT_FOUND")) return 0;
      throw error;
    }
  }
}

/** The row of a new volume. @throws `UNSUPPORTED` (driver or option) */
export function newVolumeRow(spec: VolumeCreate): NewVolumeRow {
  if (spec.driver !== "local") {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot create the volume: there is no volume driver ${JSON.stringify(spec.driver)}. Known drivers: local`,
    );
  }
  const [option] = Object.keys(spec.options);
  if (option !== undefined) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot create the volume: driver "local" has no option ${JSON.stringify(option)}. Leave it out`,
    );
  }
  const anonymous = spec.name === undefined;
  return {
    name: spec.name ?? randomHex(32),
    driver: spec.driver,
    options: spec.options,
    labels: anonymous ? { [ANONYMOUS_LABEL]: "", ...spec.labels } : spec.labels,
    anonymous,
  };
}

function refuseOther(existing: VolumeRow, wanted: NewVolumeRow): void {
  if (existing.state !== "ready") {
    throw new LaminaError(
      "CONFLICT",
      `Cannot create volume "${wanted.name}": one of that name is being removed. "lamina check --repair" finishes that`,
      { details: { volume: wanted.name } },
    );
  }
  if (existing.driver === wanted.driver && sameRecord(JSON.parse(existing.options), wanted.options)) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot create volume "${wanted.name}": it exists with driver "${existing.driver}" and options ` +
      `${existing.options}. Use another name, or ask for the same`,
    { details: { volume: wanted.name } },
  );
}

function sameRecord(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function randomHex(length_bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(length_bytes)).toHex();
}
