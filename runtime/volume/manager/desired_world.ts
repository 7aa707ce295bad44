/** What the workloads want. In memory only: whoever has workloads tells them again after a start. */
import type { ObjectKey, VolumePlugin, Workload } from "../../../drivers/volume/port.ts";
import { LaminaError, toLaminaError } from "../../core/errors.ts";
import { hashText } from "./hash_text.ts";
import type { WantedVolume, WantedWorkload } from "./port.ts";
import type { PluginRegistry } from "./registry.ts";
import { type DesiredFacts, type DeviceKey, deviceKey, type VolumeKey, volumeKey } from "./states.ts";

/** One volume of one workload, as it is wanted. */
export interface DesiredVolume extends DesiredFacts {
  readonly workload: Workload;
  readonly wanted: WantedVolume;
  readonly plugin: VolumePlugin;
  readonly volumeId: string;
  /** Used where its plugin has it: see `DeviceMounter.placeOf`. */
  readonly isInPlace: boolean;
}

/** A workload, as it is wanted. */
export interface DesiredWorkload {
  readonly workload: Workload;
  /** By name. */
  readonly volumes: ReadonlyMap<string, DesiredVolume>;
  /** Why a volume cannot be had at all, by its name. */
  readonly problems: ReadonlyMap<string, LaminaError>;
}

/** What a wish has changed. */
export interface DesireChange {
  /** New, or to be set up otherwise than before. */
  readonly changed: readonly DesiredVolume[];
  /** No longer wanted. */
  readonly dropped: readonly DesiredVolume[];
}

/** See the head of the file. */
export class DesiredWorld {
  readonly #plugins: PluginRegistry;
  readonly #workloads = new Map<string, DesiredWorkload>();
  readonly #volumes = new Map<VolumeKey, DesiredVolume>();
  readonly #byDevice = new Map<DeviceKey, number>();
  /** Volumes by the objects that they are made from. */
  readonly #references = new Map<string, Set<VolumeKey>>();

  constructor(plugins: PluginRegistry) {
    this.#plugins = plugins;
  }

  /** For the plan: all volumes, in the order in which they were wanted. */
  get volumes(): ReadonlyMap<VolumeKey, DesiredVolume> {
    return this.#volumes;
  }

  workload(uid: string): DesiredWorkload | undefined {
    return this.#workloads.get(uid);
  }

  get workloads(): Iterable<DesiredWorkload> {
    return this.#workloads.values();
  }

  /** Whether any workload wants a volume of that device. */
  wantsDevice(device: DeviceKey): boolean {
    return this.#byDevice.has(device);
  }

  /** The workloads that do. */
  usersOf(device: DeviceKey): Workload[] {
    if (!this.#byDevice.has(device)) return [];
    return [...this.#volumes.values()].filter((v) => v.deviceKey === device).map(({ workload }) => workload);
  }

  /** Puts a workload in, or in place of what it wanted before. */
  put(wanted: WantedWorkload): DesireChange {
    const { workload } = wanted;
    checkName("uid of a workload", workload.uid);
    const before = this.#workloads.get(workload.uid);
    const volumes = new Map<string, DesiredVolume>();
    const problems = new Map<string, LaminaError>();
    for (const [name, reason] of wanted.unresolved ?? []) problems.set(name, unresolved(workload, name, reason));
    for (const volume of wanted.volumes) {
      const { name } = volume.spec;
      try {
        checkName("name of a volume", name);
        volumes.set(name, this.#resolve(workload, volume, before?.volumes.get(name)));
      } catch (error) {
        problems.set(name, toLaminaError(error, `Cannot use the volume ${JSON.stringify(name)}`));
      }
    }
    this.#workloads.set(workload.uid, { workload, volumes, problems });
    const dropped = [...before?.volumes.values() ?? []].filter(({ wanted }) => !volumes.has(wanted.spec.name));
    dropped.forEach((volume) => this.#remove(volume));
    const changed = [...volumes.values()].filter((volume) => this.#insert(volume));
    return { changed, dropped };
  }

  /** Takes a workload out; `undefined` when there is none. */
  remove(uid: string): DesiredWorkload | undefined {
    const workload = this.#workloads.get(uid);
    if (workload === undefined) return undefined;
    this.#workloads.delete(uid);
    for (const volume of workload.volumes.values()) this.#remove(volume);
    return workload;
  }

  /** An object changed: counts it in every volume that is made from it, and returns those. */
  touch(key: ObjectKey): DesiredVolume[] {
    const touched: DesiredVolume[] = [];
    for (const volume of this.#references.get(objectText(key)) ?? []) {
      const before = this.#volumes.get(volume)!;
      const after = { ...before, refresh: before.refresh + 1 };
      this.#volumes.set(volume, after);
      const { workload, volumes, problems } = this.#workloads.get(before.workloadUid)!;
      const all = new Map(volumes).set(before.wanted.spec.name, after);
      this.#workloads.set(before.workloadUid, { workload, volumes: all, problems });
      touched.push(after);
    }
    return touched;
  }

  #resolve(workload: Workload, wanted: WantedVolume, before: DesiredVolume | undefined): DesiredVolume {
    const { spec } = wanted;
    const plugin = this.#plugins.find(spec);
    const volumeId = plugin.volumeId(spec, workload);
    const revision = revisionOf(wanted);
    // What is made from objects is set up once after each start: they may have changed meanwhile.
    const refresh = before?.revision === revision ? before.refresh : plugin.references === undefined ? 0 : 1;
    const grows = plugin.expand !== undefined && !spec.read_only;
    return {
      key: volumeKey(workload.uid, spec.name),
      deviceKey: deviceKey(plugin.name, volumeId),
      workloadUid: workload.uid,
      attachable: plugin.attacher !== undefined,
      deviceMountable: plugin.deviceMounter !== undefined,
      revision,
      refresh,
      exclusive: spec.access_modes.length === 1 && spec.access_modes[0] === "ReadWriteOncePod",
      size_bytes: grows ? spec.persistent_volume?.capacity_bytes : undefined,
      workload,
      wanted,
      plugin,
      volumeId,
      isInPlace: plugin.deviceMounter?.placeOf !== undefined,
    };
  }

  /** True: something is to be done for it. */
  #insert(volume: DesiredVolume): boolean {
    const before = this.#volumes.get(volume.key);
    if (before !== undefined) this.#unlink(before);
    // Another volume under the name is wanted from now on, after all others.
    if (before !== undefined && before.deviceKey !== volume.deviceKey) this.#volumes.delete(volume.key);
    this.#volumes.set(volume.key, volume);
    this.#byDevice.set(volume.deviceKey, (this.#byDevice.get(volume.deviceKey) ?? 0) + 1);
    for (const text of this.#referencesOf(volume)) {
      const keys = this.#references.get(text);
      if (keys === undefined) this.#references.set(text, new Set([volume.key]));
      else keys.add(volume.key);
    }
    return before === undefined || before.revision !== volume.revision || before.deviceKey !== volume.deviceKey ||
      before.size_bytes !== volume.size_bytes;
  }

  #remove(volume: DesiredVolume): void {
    const current = this.#volumes.get(volume.key);
    if (current === undefined) return;
    this.#unlink(current);
    this.#volumes.delete(volume.key);
  }

  #unlink(volume: DesiredVolume): void {
    const users = this.#byDevice.get(volume.deviceKey)! - 1;
    if (users === 0) this.#byDevice.delete(volume.deviceKey);
    else this.#byDevice.set(volume.deviceKey, users);
    for (const text of this.#referencesOf(volume)) {
      const keys = this.#references.get(text);
      keys?.delete(volume.key);
      if (keys?.size === 0) this.#references.delete(text);
    }
  }

  #referencesOf({ plugin, wanted, workload }: DesiredVolume): Set<string> {
    return new Set((plugin.references?.(wanted.spec, workload) ?? []).map(objectText));
  }
}

/** Both become names of directories. @throws `INVALID_ARGUMENT` */
function checkName(what: string, name: string): void {
  if (/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/.test(name)) return;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `${
      JSON.stringify(name.slice(0, 300))
    } cannot be the ${what}: use up to 253 letters, digits, dots, dashes and underscores`,
  );
}

function objectText({ kind, namespace, name }: ObjectKey): string {
  return `${kind} ${namespace}/${name}`;
}

function unresolved(workload: Workload, volume: string, reason: string): LaminaError {
  return new LaminaError(
    "UNAVAILABLE",
    `The volume ${JSON.stringify(volume)} of ${workload.kind} ${workload.name} cannot be mounted yet: ${reason}`,
    { details: { volume } },
  );
}

/** Everything that `setUp` depends on but for the objects' content. Hashed, because it is kept in the database. */
function revisionOf({ spec, fsGroup, fsGroupChangePolicy }: WantedVolume): string {
  const { source, read_only, mount_options, volume_mode, persistent_volume } = spec;
  const text = JSON.stringify([
    source,
    read_only,
    mount_options,
    volume_mode,
    persistent_volume?.uid,
    fsGroup,
    fsGroupChangePolicy,
  ]);
  return hashText(text);
}
