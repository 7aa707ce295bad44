/** What is there, as far as this program has made it: kept in memory, and as rows that outlive it. */
import type { Workload } from "../../../drivers/volume/port.ts";
import type { RootLayout } from "../../core/root_layout.ts";
import type { DesiredVolume } from "./desired_world.ts";
import { hashText } from "./hash_text.ts";
import type { ActualFacts, DeviceFacts, DeviceKey, VolumeKey } from "./states.ts";

/** A mount that is expected to be there. */
export interface Place {
  /** Absolute. */
  readonly target: string;
  /** Mounts below it have come with it. */
  readonly recursive: boolean;
  /** The kernel's id of the mount; good while it is mounted. */
  mountId?: bigint;
  /** As the mount table shows it, once it was looked at. */
  seen?: { readonly device: string; readonly root: string };
}

/** See {@linkcode ActualFacts}; changed in place by the operation that holds its key. */
export interface ActualVolume extends ActualFacts {
  state: ActualFacts["state"];
  revision?: string;
  refresh?: number;
  size_bytes?: number;
  readonly workload: Pick<Workload, "kind" | "uid" | "name" | "namespace">;
  /** Name of the volume in its workload. */
  readonly volume: string;
  readonly plugin: string;
  path: string;
  places: Place[];
  /** It is where its device is, and has neither a mount nor a row of its own. */
  readonly isInPlace?: boolean;
  /** An earlier process may have mounted something here that nobody has looked at since. */
  isUnknown?: boolean;
  /** What it shows was deleted on the host, and people were told. */
  isSourceGone?: boolean;
  /** Its workload was given up: see {@linkcode VolumeManager.release}. */
  isGivenUp?: boolean;
}

/** See {@linkcode DeviceFacts}; likewise. */
export interface ActualDevice extends DeviceFacts {
  attach: DeviceFacts["attach"];
  device: DeviceFacts["device"];
  readonly plugin: string;
  readonly volumeId: string;
  /** Empty: only its plugin knows, once it is mounted. */
  path: string;
  devicePath?: string;
  places: Place[];
  /** Likewise, until somebody wants it again. */
  isGivenUp?: boolean;
}

/** See the head of the file. */
export class ActualWorld {
  readonly #layout: RootLayout;
  readonly volumes = new Map<VolumeKey, ActualVolume>();
  readonly devices = new Map<DeviceKey, ActualDevice>();
  readonly #byWorkload = new Map<string, Set<ActualVolume>>();
  readonly #ofDevice = new Map<DeviceKey, number>();

  constructor(layout: RootLayout) {
    this.#layout = layout;
  }

  addVolume(volume: ActualVolume): void {
    this.removeVolume(volume);
    this.volumes.set(volume.key, volume);
    this.#ofDevice.set(volume.deviceKey, (this.#ofDevice.get(volume.deviceKey) ?? 0) + 1);
    const siblings = this.#byWorkload.get(volume.workloadUid);
    if (siblings === undefined) this.#byWorkload.set(volume.workloadUid, new Set([volume]));
    else siblings.add(volume);
  }

  removeVolume({ key }: ActualVolume): void {
    const volume = this.volumes.get(key);
    if (volume === undefined) return;
    this.volumes.delete(key);
    const siblings = this.#byWorkload.get(volume.workloadUid);
    siblings?.delete(volume);
    if (siblings?.size === 0) this.#byWorkload.delete(volume.workloadUid);
    const others = this.#ofDevice.get(volume.deviceKey)! - 1;
    if (others === 0) this.#ofDevice.delete(volume.deviceKey);
    else this.#ofDevice.set(volume.deviceKey, others);
  }

  /** Whether any workload has, or may have, a volume of that device. */
  hasVolumeOf(device: DeviceKey): boolean {
    return this.#ofDevice.has(device);
  }

  /** The volumes of a workload. */
  ofWorkload(uid: string): Iterable<ActualVolume> {
    return this.#byWorkload.get(uid) ?? [];
  }

  /** Where a volume is, or will be. */
  pathOf({ workloadUid, wanted, plugin, volumeId, isInPlace }: DesiredVolume): string {
    if (isInPlace) return plugin.deviceMounter!.placeOf!(volumeId);
    return this.#layout.workloadVolume(workloadUid, plugin.name, wanted.spec.name);
  }

  /** The entry of a volume that is about to be set up; `isNew`: it has no row yet. */
  enterVolume(wanted: DesiredVolume): { entry: ActualVolume; isNew: boolean } {
    const existing = this.volumes.get(wanted.key);
    if (existing !== undefined) return { entry: existing, isNew: false };
    const { kind, uid, name, namespace } = wanted.workload;
    const entry: ActualVolume = {
      key: wanted.key,
      deviceKey: wanted.deviceKey,
      workloadUid: uid,
      attachable: wanted.attachable,
      deviceMountable: wanted.deviceMountable,
      state: "NotMounted",
      workload: { kind, uid, name, namespace },
      volume: wanted.wanted.spec.name,
      plugin: wanted.plugin.name,
      path: this.pathOf(wanted),
      places: [],
      isInPlace: wanted.isInPlace,
    };
    this.addVolume(entry);
    return { entry, isNew: true };
  }

  /** The same for a device. */
  enterDevice(wanted: DesiredVolume): { entry: ActualDevice; isNew: boolean } {
    const existing = this.devices.get(wanted.deviceKey);
    if (existing !== undefined) return { entry: existing, isNew: false };
    const entry: ActualDevice = {
      key: wanted.deviceKey,
      attach: "No",
      device: "NotMounted",
      plugin: wanted.plugin.name,
      volumeId: wanted.volumeId,
      path: wanted.isInPlace
        ? this.pathOf(wanted)
        : this.#layout.deviceMount(wanted.plugin.name, hashText(wanted.volumeId)),
      places: [],
    };
    this.devices.set(entry.key, entry);
    return { entry, isNew: true };
  }
}
