/**
 * The steps by which volumes come and go, for the catalogue, for containers that bring volumes with them, and for the
 * recovery after a crash.
 */
import type { NamedVolume, VolumeDriver } from "../../drivers/volume/named/volume_driver.ts";
import { isLaminaError, LaminaError, toLaminaError } from "../core/errors.ts";
import { backgroundOperation, type Operation } from "../core/operation.ts";
import type { VolumeCreate } from "../core/specs/volume.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import {
  deleteVolumeRow,
  findVolumeRow,
  insertVolumeRow,
  namedVolume,
  type NewVolumeRow,
  readyVolumeRows,
  setVolumeState,
} from "./volume_rows.ts";
import { PluginVolumes } from "./plugin_volumes.ts";
import { recoverRename } from "./rename_volume.ts";
import { recoverResize } from "./resize_volume.ts";
import { recoverRestore } from "./restore_volume.ts";
import { recoverSnapshot } from "./volume_snapshots.ts";
import type { VolumeRoom } from "./volume_room.ts";

export { volumeLock, type VolumeRoom } from "./volume_room.ts";

/** Marks volumes that nobody named, as Docker does. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

/** See the head of the file. */
export class VolumeLifecycle {
  /** What plugins have, whoever made it. */
  readonly plugins: PluginVolumes;
  readonly #room: VolumeRoom;

  constructor(room: VolumeRoom) {
    this.#room = room;
    this.plugins = new PluginVolumes(room);
  }

  /**
   * The row of a new volume; nothing happens yet. A volume without a name gets a random one.
   *
   * @throws `NOT_FOUND` (driver), `INVALID_ARGUMENT`, `UNSUPPORTED` (options).
   */
  newRow(spec: VolumeCreate): NewVolumeRow {
    const driver = this.#room.drivers.get(spec.driver);
    const anonymous = spec.name === undefined;
    const name = spec.name ?? crypto.getRandomValues(new Uint8Array(32)).toHex();
    driver.check({ name, options: spec.options });
    return {
      name,
      driver: spec.driver,
      options: spec.options,
      labels: anonymous ? { [ANONYMOUS_LABEL]: "", ...spec.labels } : spec.labels,
      anonymous,
    };
  }

  /** A volume and its driver. @throws `NOT_FOUND`: the driver is gone */
  find(row: { readonly name: string; readonly driver: string; readonly options: string }): {
    readonly driver: VolumeDriver;
    readonly volume: NamedVolume;
  } {
    return {
      driver: this.#room.drivers.get(row.driver),
      volume: { name: row.name, options: JSON.parse(row.options) },
    };
  }

  /** Notes in the caller's write that a volume without users goes. {@linkcode finishRemove} does it. */
  beginRemove(tx: Transaction, name: string): Intent {
    setVolumeState(tx, name, "removing");
    return beginIntent(tx, "volume.remove", name, {});
  }

  /**
   * Deletes a volume that is marked `removing`. It only goes forward: what stops here is finished by the next start.
   * Also the recovery of the intent.
   */
  async finishRemove(intent: Intent, operation: Operation): Promise<void> {
    const name = intent.object;
    const row = findVolumeRow(this.#room.store, name);
    let free: ((operation: Operation) => Promise<void>) | undefined;
    if (row !== undefined) {
      const { driver, volume } = this.find(row);
      // After a crash it may still be mounted for whoever had it then.
      if (driver.needsMount(volume) && driver.isMounted(volume)) await driver.unmount(volume, operation);
      free = await driver.remove(volume, operation);
    }
    faultPoint("volume.data_gone");
    await this.#room.store.write((tx) => {
      deleteVolumeRow(tx, name);
      endIntent(tx, intent);
    }, { frees: true });
    faultPoint("volume.remove_finished");
    this.#room.events.emit({ kind: "volume", action: "remove", id: name, name });
    try {
      await free?.(operation);
    } catch (error) {
      const { code, message } = toLaminaError(error, "Cannot delete its files");
      throw new LaminaError(
        code,
        `Volume "${name}" is removed, but its space is not freed: ${message}. "lamina gc" or the next start tries again`,
        { cause: error },
      );
    }
  }

  /**
   * Notes those of `wanted` that do not exist yet, as part of a container's creation, and tells which they are. The
   * caller holds the locks of all names and its own intent lists the new ones.
   */
  beginMissing(tx: Transaction, wanted: readonly NewVolumeRow[]): string[] {
    const missing = wanted.filter(({ name }) => findVolumeRow(tx, name) === undefined);
    for (const row of missing) insertVolumeRow(tx, row, "creating");
    return missing.map(({ name }) => name);
  }

  /** Makes what is behind volumes that are `creating`: their directories, images, or what a plugin makes. */
  async makeDirectories(names: readonly string[], operation: Operation = backgroundOperation()): Promise<void> {
    // All of them are waited for: what one has begun is undone only when no other is still at work.
    const results = await Promise.allSettled(names.map((name) => {
      const { driver, volume } = this.find(findVolumeRow(this.#room.store, name)!);
      return driver.create(volume, operation);
    }));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Makes volumes visible, in the write that makes their first user visible. */
  finishCreate(tx: Transaction, names: readonly string[]): void {
    for (const name of names) setVolumeState(tx, name, "ready");
  }

  /** Tells that volumes were made. */
  announce(names: readonly string[]): void {
    for (const name of names) this.#room.events.emit({ kind: "volume", action: "create", id: name, name });
  }

  /**
   * Takes volumes that are `creating` away again and returns the write that forgets them. One that has data after all
   * (somebody else put it there) is completed instead: data is never deleted here.
   */
  async undoCreate(names: readonly string[]): Promise<(tx: Transaction) => void> {
    const kept: string[] = [];
    for (const name of names) {
      const row = findVolumeRow(this.#room.store, name);
      if (row?.state !== "creating") continue;
      // Of a plugin that has gone there is nothing to take back.
      const driver = this.#room.drivers.find(row.driver);
      // Not the caller's operation: that may be what was aborted.
      const operation: Operation = { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS), progress: () => {} };
      if (driver !== undefined && !await driver.undoCreate(namedVolume(row), operation)) kept.push(name);
    }
    return (tx) => {
      for (const name of names) {
        if (findVolumeRow(tx, name)?.state !== "creating") continue;
        if (kept.includes(name)) setVolumeState(tx, name, "ready");
        else deleteVolumeRow(tx, name);
      }
    };
  }

  /**
   * Takes a volume that was being filled away again with all that is in it: nobody was ever told of it. Also the
   * recovery of the intent.
   */
  async dropFilled(intent: Intent, operation: Operation): Promise<void> {
    const row = findVolumeRow(this.#room.store, intent.object);
    let free: ((operation: Operation) => Promise<void>) | undefined;
    const driver = row === undefined ? undefined : this.#room.drivers.find(row.driver);
    if (row?.state === "creating" && driver !== undefined) {
      const volume = namedVolume(row);
      if (driver.needsMount(volume) && driver.isMounted(volume)) await driver.unmount(volume, operation);
      free = await driver.remove(volume, operation);
    }
    await this.#room.store.write((tx) => {
      if (row?.state === "creating") deleteVolumeRow(tx, intent.object);
      endIntent(tx, intent);
    }, { frees: true });
    await free?.(operation);
  }

  /** Called once at the start: puts the limits of local volumes in force. */
  async open(): Promise<void> {
    const rows = readyVolumeRows(this.#room.store).filter(({ driver }) => driver === "local");
    await this.#room.local.open(rows.map(namedVolume));
  }

  /** Undoes or finishes what a crash interrupted. */
  async recover(intents: readonly Intent[], operation: Operation): Promise<void> {
    for (const intent of intents) {
      switch (intent.kind) {
        case "volume.create":
          await this.#recoverCreate(intent);
          break;
        case "volume.fill":
          await this.dropFilled(intent, operation);
          break;
        case "volume.remove":
          await this.#recoverRemove(intent, operation);
          break;
        case "volume.rename":
          await recoverRename(this.#room, intent);
          break;
        case "volume.resize":
          await recoverResize(this.#room, intent, operation);
          break;
        case "volume.restore":
          await recoverRestore(this.#room, intent, operation);
          break;
        case "volume.snapshot":
          await recoverSnapshot(this.#room, intent, operation);
          break;
      }
    }
  }

  async #recoverCreate(intent: Intent): Promise<void> {
    const forget = await this.undoCreate([intent.object]);
    await this.#room.store.write((tx) => {
      forget(tx);
      endIntent(tx, intent);
    }, { frees: true });
  }

  /** What a plugin cannot do now must not keep the whole root from starting. */
  async #recoverRemove(intent: Intent, operation: Operation): Promise<void> {
    try {
      await this.finishRemove(intent, operation);
    } catch (error) {
      const row = findVolumeRow(this.#room.store, intent.object);
      if (row === undefined || row.driver === "local" || !isLaminaError(error)) throw error;
      this.#room.events.emit({
        kind: "volume",
        action: "remove_failed",
        id: intent.object,
        name: intent.object,
        attributes: { message: error.message },
      });
    }
  }
}

/** What taking back a volume that could not be made may last. */
const UNDO_TIMEOUT_MS = 60_000;
