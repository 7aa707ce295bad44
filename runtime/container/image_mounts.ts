/**
 * The images that a container mounts besides its own: each is a view of the storage driver, mounted read-only at
 * `ROOT/containers/ID/image-N` (N: index of the mount) as long as the container's root is, and bound from there.
 */
import { dirname, join } from "@std/path/posix";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import { type Mount, mountAt, readOnlyMount } from "../core/mount.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { hostError } from "../host/errno_errors.ts";
import { mountIdentityIfThere } from "../host/mount_table.ts";
import type { Mounter } from "../host/mounter.ts";
import { findImage } from "../image/image_rows.ts";
import type { Store } from "../store/store.ts";
import type { ContainerSpec } from "./container_rows.ts";

/** Keys of the views that containers have for a time. */
export const VIEW_PREFIX = "view/";

/** Where views of images are mounted, beside a rootfs. */
export const imageDirectory = /^image-\d+$/;

/** The container in the key of a view, if it is one of ours. */
export function containerOfViewKey(key: string): string | undefined {
  return /^view\/([0-9a-f]{64})\//.exec(key)?.[1];
}

/** Key of a view that a container has for a time. */
export function viewKey(containerId: string, name: string | number): SnapshotKey {
  return `${VIEW_PREFIX}${containerId}/${name}` as SnapshotKey;
}

/** See the head of the file. */
export class ImageMounts {
  readonly #driver: StorageDriver;
  readonly #mounter: Mounter;
  readonly #layout: RootLayout;
  readonly #store: Store;

  constructor(room: { driver: StorageDriver; mounter: Mounter; layout: RootLayout; store: Store }) {
    this.#driver = room.driver;
    this.#mounter = room.mounter;
    this.#layout = room.layout;
    this.#store = room.store;
  }

  /** Where the image of a container's mount number `index` is seen. */
  path(containerId: string, index: number): string {
    return join(dirname(this.#layout.rootfs(containerId)), `image-${index}`);
  }

  /** Mounts all that are missing. */
  async mount(containerId: string, spec: ContainerSpec, operation: Operation): Promise<void> {
    for (const [index, mount] of spec.mounts.entries()) {
      if (mount.type !== "image") continue;
      const path = this.path(containerId, index);
      if (mountIdentityIfThere(path)?.isRoot) continue;
      const image = findImage(this.#store, mount.image_id);
      if (image === undefined) {
        throw new LaminaError("NOT_FOUND", `Cannot mount image "${mount.source}" at ${mount.target}: it is gone`, {
          details: { image: mount.image_id, target: mount.target },
        });
      }
      const parent = (image.top_layer ?? undefined) as SnapshotKey | undefined;
      const mounts = await viewOf(this.#driver, viewKey(containerId, index), parent, operation);
      await makeDirectories([dirname(path), path]);
      await this.#mounter.mount(mounts.map((view) => mountAt(readOnlyMount(view), path)), { signal: operation.signal });
    }
  }

  /** Unmounts them and gives the views up; absent is success. The container's root is not mounted any more. */
  async unmount(containerId: string, spec: ContainerSpec, operation: Operation): Promise<void> {
    for (const [index, mount] of spec.mounts.entries()) {
      if (mount.type !== "image") continue;
      const path = this.path(containerId, index);
      await this.#mounter.unmount([path], { signal: operation.signal });
      try {
        await Deno.remove(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot remove the mount point ${path}`);
      }
      await removeView(this.#driver, viewKey(containerId, index), operation);
    }
  }
}

/** The mounts of a view, which is made where it is not there yet. */
export async function viewOf(
  driver: StorageDriver,
  key: SnapshotKey,
  parent: SnapshotKey | undefined,
  operation: Operation,
): Promise<Mount[]> {
  try {
    return await driver.view(key, parent, {}, operation);
  } catch (error) {
    if (!isLaminaError(error, "ALREADY_EXISTS")) throw error;
    return await driver.mounts(key);
  }
}

/** Gives a view up; absent is success. */
export async function removeView(driver: StorageDriver, key: SnapshotKey, operation: Operation): Promise<void> {
  try {
    await driver.remove(key, operation);
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
  }
}

async function makeDirectories(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    try {
      await Deno.mkdir(path);
      await Deno.chmod(path, 0o711);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw hostError(error, `Cannot make the mount point ${path}`);
    }
  }
}
