/**
 * The actual world on disk: a row for each volume and device, written before its first effect and deleted after its
 * last. A row holds all that taking it down needs, because after a restart its spec may be gone.
 *
 * What is `Uncertain` in the database is so in truth: a row says more only once the mount table has proved it.
 */
import type { Store } from "../../store/store.ts";
import type { ActualDevice, ActualVolume, Place } from "./actual_world.ts";
import { deviceKey, volumeKey } from "./states.ts";

/** Writes that are asked for in one turn of the event loop share one commit. */
export interface ActualJournal {
  /** What an earlier process left, with the boot in which the row was written last. */
  load(): { volumes: Array<Journaled<ActualVolume>>; devices: Array<Journaled<ActualDevice>> };
  putVolume(volume: ActualVolume, boot: string): Promise<void>;
  putDevice(device: ActualDevice, boot: string): Promise<void>;
  forgetVolume(volume: ActualVolume): Promise<void>;
  forgetDevice(device: ActualDevice): Promise<void>;
}

/** An entry as it was read: its state is what was written, to be proved. */
export interface Journaled<T> {
  readonly entry: T;
  readonly boot: string;
}

interface VolumeRow {
  readonly workload_uid: string;
  readonly volume: string;
  readonly workload_kind: "pod" | "container";
  readonly workload_name: string;
  readonly workload_namespace: string;
  readonly plugin: string;
  readonly volume_id: string;
  readonly path: string;
  readonly attachable: number;
  readonly device_mountable: number;
  readonly proved: number;
  readonly revision: string | null;
  readonly size_bytes: number | null;
  readonly places: string;
  readonly boot: string;
}

interface DeviceRow {
  readonly plugin: string;
  readonly volume_id: string;
  readonly path: string;
  readonly device_path: string | null;
  readonly attached: number;
  readonly device_mounted: number;
  readonly proved: number;
  readonly places: string;
  readonly boot: string;
}

/** {@linkcode ActualJournal} in the store. */
export class StoreJournal implements ActualJournal {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** See {@linkcode ActualJournal}. */
  load(): ReturnType<ActualJournal["load"]> {
    const volumes = this.#store.all<VolumeRow>("SELECT * FROM workload_volumes ORDER BY rowid").map(volumeOf);
    const devices = this.#store.all<DeviceRow>("SELECT * FROM volume_devices ORDER BY rowid").map(deviceOf);
    return { volumes, devices };
  }

  /** See {@linkcode ActualJournal}. */
  putVolume(volume: ActualVolume, boot: string): Promise<void> {
    const { workload, revision, size_bytes } = volume;
    const values = [
      workload.uid,
      volume.volume,
      workload.kind,
      workload.name,
      workload.namespace,
      volume.plugin,
      volumeIdOf(volume),
      volume.path,
      Number(volume.attachable),
      Number(volume.deviceMountable),
      Number(volume.state === "Mounted" && isSeen(volume.places)),
      revision ?? null,
      size_bytes ?? null,
      placesText(volume.places),
      boot,
    ];
    return this.#store.write((tx) => {
      tx.run(
        `INSERT OR REPLACE INTO workload_volumes (workload_uid, volume, workload_kind, workload_name,
          workload_namespace, plugin, volume_id, path, attachable, device_mountable, proved, revision, size_bytes,
          places, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...values,
      );
    });
  }

  /** See {@linkcode ActualJournal}. */
  putDevice(device: ActualDevice, boot: string): Promise<void> {
    const values = [
      device.plugin,
      device.volumeId,
      device.path,
      device.devicePath ?? null,
      Number(device.attach !== "No"),
      Number(device.device !== "NotMounted"),
      Number(device.device === "GloballyMounted" && isSeen(device.places)),
      placesText(device.places),
      boot,
    ];
    return this.#store.write((tx) => {
      tx.run(
        `INSERT OR REPLACE INTO volume_devices (plugin, volume_id, path, device_path, attached, device_mounted, proved,
          places, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...values,
      );
    });
  }

  /** See {@linkcode ActualJournal}. */
  forgetVolume({ workloadUid, volume }: ActualVolume): Promise<void> {
    return this.#store.write((tx) => {
      tx.run("DELETE FROM workload_volumes WHERE workload_uid = ? AND volume = ?", workloadUid, volume);
    }, { frees: true });
  }

  /** See {@linkcode ActualJournal}. */
  forgetDevice({ plugin, volumeId }: ActualDevice): Promise<void> {
    return this.#store.write((tx) => {
      tx.run("DELETE FROM volume_devices WHERE plugin = ? AND volume_id = ?", plugin, volumeId);
    }, { frees: true });
  }
}

function volumeIdOf({ plugin, deviceKey }: ActualVolume): string {
  return deviceKey.slice(plugin.length + 1);
}

function isSeen(places: readonly Place[]): boolean {
  return places.length > 0 && places.every(({ seen }) => seen !== undefined);
}

function placesText(places: readonly Place[]): string {
  return JSON.stringify(places.map(({ target, recursive, seen }) => ({ target, recursive, seen })));
}

function volumeOf(row: VolumeRow): Journaled<ActualVolume> {
  const { workload_uid: uid, volume, plugin } = row;
  const entry: ActualVolume = {
    key: volumeKey(uid, volume),
    deviceKey: deviceKey(plugin, row.volume_id),
    workloadUid: uid,
    attachable: row.attachable === 1,
    deviceMountable: row.device_mountable === 1,
    state: row.proved === 1 ? "Mounted" : "Uncertain",
    revision: row.revision ?? undefined,
    refresh: 0,
    size_bytes: row.size_bytes ?? undefined,
    workload: { kind: row.workload_kind, uid, name: row.workload_name, namespace: row.workload_namespace },
    volume,
    plugin,
    path: row.path,
    places: JSON.parse(row.places),
  };
  return { entry, boot: row.boot };
}

function deviceOf(row: DeviceRow): Journaled<ActualDevice> {
  const entry: ActualDevice = {
    key: deviceKey(row.plugin, row.volume_id),
    attach: row.attached === 1 ? "Uncertain" : "No",
    device: row.proved === 1 ? "GloballyMounted" : row.device_mounted === 1 ? "Uncertain" : "NotMounted",
    plugin: row.plugin,
    volumeId: row.volume_id,
    path: row.path,
    devicePath: row.device_path ?? undefined,
    places: JSON.parse(row.places),
  };
  return { entry, boot: row.boot };
}
