/**
 * `namedVolume`: volumes of the catalogue as volumes of workloads. The volume's driver mounts it once, at its own place,
 * for all who have it; they use it there.
 */
import { isLaminaError } from "../../../runtime/core/errors.ts";
import type { DeviceMounter, VolumePlugin, VolumeSpec } from "../port.ts";
import type { NamedVolume, VolumeDriver } from "./volume_driver.ts";

/** Name of the plugin. */
export const NAMED_VOLUMES = "lamina.dev/named-volume";

/** A volume and who mounts it. */
export interface DrivenVolume {
  readonly driver: VolumeDriver;
  readonly volume: NamedVolume;
}

/** Finds volumes by name. */
export interface VolumeLookup {
  /** @throws `NOT_FOUND`; `UNAVAILABLE`: its driver is not there. */
  get(name: string): DrivenVolume;
  /** The same; `undefined`: there is none (any more). @throws `UNAVAILABLE` */
  find(name: string): DrivenVolume | undefined;
}

/** See the head of the file. */
export class NamedVolumePlugin implements VolumePlugin {
  readonly name = NAMED_VOLUMES;
  readonly capabilities = {
    mountOptions: false,
    block: false,
    fsGroup: false,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
  } as const;
  readonly deviceMounter: DeviceMounter;

  constructor(volumes: VolumeLookup) {
    this.deviceMounter = {
      placeOf: (name) => {
        try {
          const found = volumes.find(name);
          return found?.driver.mountpoint(found.volume) ?? "";
        } catch (error) {
          // What is asked for next tells who is missing.
          if (isLaminaError(error, "UNAVAILABLE")) return "";
          throw error;
        }
      },
      mountDevice: async ({ spec }, operation) => {
        const { driver, volume } = volumes.get(nameOf(spec));
        await driver.mount(volume, operation);
      },
      unmountDevice: async ({ volumeId, force }, operation) => {
        // One that has gone was unmounted before.
        const found = volumes.find(volumeId);
        await found?.driver.unmount(found.volume, operation, { force });
      },
    };
  }

  supports(spec: VolumeSpec): boolean {
    return "namedVolume" in spec.source;
  }

  volumeId(spec: VolumeSpec): string {
    return nameOf(spec);
  }

  /** Never called: see {@linkcode DeviceMounter.placeOf}. */
  setUp(): Promise<void> {
    return Promise.resolve();
  }

  /** Likewise. */
  tearDown(): Promise<void> {
    return Promise.resolve();
  }
}

/** The use of a volume of the catalogue by a workload. */
export function namedVolumeSpec(name: string): VolumeSpec {
  return {
    name,
    source: { namedVolume: { name } },
    read_only: false,
    mount_options: [],
    access_modes: ["ReadWriteMany"],
    volume_mode: "Filesystem",
  };
}

function nameOf({ source }: VolumeSpec): string {
  return (source.namedVolume as { readonly name: string }).name;
}
