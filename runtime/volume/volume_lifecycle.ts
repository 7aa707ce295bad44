/**
 * The steps by which volumes come and go, for the catalogue, for containers that bring volumes with them, and for the
 * recovery after a crash.
 */
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import { LaminaError, toLaminaError } from "../core/errors.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Store, Transaction } from "../store/store.ts";
import { makeVolumeDirectories, moveVolumeToTrash, removeEmptyVolumeDirectories } from "./volume_directories.ts";
import { deleteVolumeRow, findVolumeRow, insertVolumeRow, type NewVolumeRow, setVolumeState } from "./volume_rows.ts";

/** What volumes are made with. */
export interface VolumeRoom {
  readonly store: Store;
  readonly layout: RootLayout;
  readonly engine: LayerEngine;
  readonly locks: KeyedLock;
  readonly events: EventSink;
}

/** Lock of one volume. Whoever adds or removes the volume or a use of it holds this. */
export function volumeLock(name: string): string {
  return `volume:${name}`;
}

/** See the head of the file. */
export class VolumeLifecycle {
  readonly #store: Store;
  readonly #layout: RootLayout;
  readonly #engine: LayerEngine;
  readonly #events: EventSink;

  constructor(room: VolumeRoom) {
    this.#store = room.store;
    this.#layout = room.layout;
    this.#engine = room.engine;
    this.#events = room.events;
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
    const trash = await moveVolumeToTrash(this.#layout, name);
    faultPoint("volume.data_gone");
    await this.#store.write((tx) => {
      deleteVolumeRow(tx, name);
      endIntent(tx, intent);
    }, { frees: true });
    faultPoint("volume.remove_finished");
    this.#events.emit({ kind: "volume", action: "remove", id: name, name });
    if (trash === undefined) return;
    try {
      await this.#engine.removeTree(trash, operation);
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
   * Notes the volumes of `wanted` that do not exist yet, as part of a container's creation, and tells which they are.
   * The caller holds the locks of all names and its own intent lists the new ones.
   */
  beginMissing(tx: Transaction, wanted: readonly NewVolumeRow[]): string[] {
    const missing = wanted.filter(({ name }) => findVolumeRow(tx, name) === undefined);
    for (const volume of missing) insertVolumeRow(tx, volume, "creating");
    return missing.map(({ name }) => name);
  }

  /** Makes the directories of volumes that are `creating`. */
  makeDirectories(names: readonly string[]): Promise<void> {
    return makeVolumeDirectories(this.#layout, names);
  }

  /** Makes volumes visible, in the write that makes their first user visible. */
  finishCreate(tx: Transaction, names: readonly string[]): void {
    for (const name of names) setVolumeState(tx, name, "ready");
  }

  /** Tells that volumes were made. */
  announce(names: readonly string[]): void {
    for (const name of names) this.#events.emit({ kind: "volume", action: "create", id: name, name });
  }

  /**
   * Takes volumes that are `creating` away again and returns the write that forgets them. One that has data after all
   * (somebody else put it there) is completed instead: data is never deleted here.
   */
  async undoCreate(names: readonly string[]): Promise<(tx: Transaction) => void> {
    const kept: string[] = [];
    for (const name of names) {
      if (findVolumeRow(this.#store, name)?.state !== "creating") continue;
      if (!await removeEmptyVolumeDirectories(this.#layout, name)) kept.push(name);
    }
    return (tx) => {
      for (const name of names) {
        if (findVolumeRow(tx, name)?.state !== "creating") continue;
        if (kept.includes(name)) setVolumeState(tx, name, "ready");
        else deleteVolumeRow(tx, name);
      }
    };
  }

  /** Finishes or undoes what a crash interrupted. */
  async recover(intents: readonly Intent[], operation: Operation): Promise<void> {
    for (const intent of intents) {
      if (intent.kind === "volume.create") {
        const forget = await this.undoCreate([intent.object]);
        await this.#store.write((tx) => {
          forget(tx);
          endIntent(tx, intent);
        }, { frees: true });
      } else if (intent.kind === "volume.remove") {
        await this.finishRemove(intent, operation);
      }
    }
  }
}
