/** What has to be usable before a container's root can be put together: volumes that are mounted, images. */
import { isLaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { VolumeAccess } from "../volume/volume_access.ts";
import { type ContainerSpec, volumesOf } from "./container_rows.ts";
import type { ImageMounts } from "./image_mounts.ts";
import type { MountPlaces } from "./mount_plan.ts";

/** See the head of the file. */
export class MountSources {
  constructor(
    private readonly layout: RootLayout,
    private readonly access: VolumeAccess,
    private readonly images: ImageMounts,
  ) {}

  /** Where the sources of a container's mounts are, as far as is known. Never waits, never throws. */
  placesOf(containerId: string): MountPlaces {
    return {
      volume: (name) => {
        try {
          return this.access.pathOf(name) || this.layout.volumeData(name);
        } catch (error) {
          if (!isLaminaError(error)) throw error;
          return this.layout.volumeData(name);
        }
      },
      image: (index) => this.images.path(containerId, index),
    };
  }

  /** Makes them usable, until {@linkcode release}. Plain volumes are so at any time: they cost nothing. */
  async acquire(containerId: string, spec: ContainerSpec, operation: Operation): Promise<void> {
    const names = volumesOf(spec.mounts).filter((name) => this.access.needsMounting(name));
    if (names.length > 0) {
      const user = { id: containerId, name: containerId.slice(0, 12), kind: "container" } as const;
      await this.access.acquire(user, names, operation);
    }
    if (hasImages(spec)) await this.images.mount(containerId, spec, operation);
  }

  /** The root is not mounted any more. */
  async release(containerId: string, spec: ContainerSpec, operation: Operation): Promise<void> {
    if (hasImages(spec)) await this.images.unmount(containerId, spec, operation);
    if (spec.mounts.some(({ type }) => type === "volume")) await this.access.release(containerId, operation);
  }
}

function hasImages(spec: ContainerSpec): boolean {
  return spec.mounts.some(({ type }) => type === "image");
}
