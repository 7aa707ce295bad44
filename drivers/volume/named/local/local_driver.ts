/** The driver `local`: volumes of this machine, in directories of the root or mounted from a device or server. */
import { isLaminaError, LaminaError } from "../../../../runtime/core/errors.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import type { RootLayout } from "../../../../runtime/core/root_layout.ts";
import { fileSystemStatus } from "../../../../runtime/host/disk.ts";
import { makeDirectoryDurably, renameDurably, syncDirectory } from "../../../../runtime/host/durable.ts";
import { hostError } from "../../../../runtime/host/errno_errors.ts";
import { faultPoint } from "../../../../runtime/host/faults.ts";
import { currentMountTable, mountIdentityIfThere, mountsBelow } from "../../../../runtime/host/mount_table.ts";
import type { Mounter } from "../../../../runtime/host/mounter.ts";
import type { LayerEngine } from "../../../storage/layer/engine.ts";
import { fileSystemOn } from "../../../storage/devicemapper/file_systems.ts";
import { unmountNetwork } from "../../network/unmount.ts";
import type { VolumeUsage } from "../../port.ts";
import { fillsDevice, mountImage } from "../../sized/image_mount.ts";
import type { KnownTree } from "../../sized/sized_place.ts";
import type { NamedVolume, VolumeDriver } from "../volume_driver.ts";
import { mountPlan } from "./local_mount.ts";
import { planLocal } from "./local_options.ts";
import { isSubvolume, kindOf, LocalPlace } from "./local_place.ts";
import { LocalTrees } from "./local_trees.ts";

/** See the head of the file. */
export class LocalDriver implements VolumeDriver {
  readonly name = "local";
  readonly scope = "local";
  readonly trees: LocalTrees;
  readonly #layout: RootLayout;
  readonly #engine: LayerEngine;
  readonly #mounter: Mounter;

  constructor(room: { readonly layout: RootLayout; readonly engine: LayerEngine; readonly mounter: Mounter }) {
    this.#layout = room.layout;
    this.#engine = room.engine;
    this.#mounter = room.mounter;
    this.trees = new LocalTrees(room.layout, room.engine);
  }

  /** Called once at the start with the volumes that there are: puts their limits in force. */
  async open(volumes: readonly NamedVolume[]): Promise<void> {
    const sized = volumes.flatMap((volume): KnownTree[] => {
      const { data, isImage } = this.place(volume);
      const plan = planLocal(volume);
      if (plan.kind !== "sized" || isImage || kindOf(data) !== "directory") return [];
      return [{ path: data, backing: isSubvolume(data) ? "btrfs" : "quota", size_bytes: plan.size_bytes }];
    });
    if (sized.length > 0) await this.trees.openSized(sized);
  }

  /** Paths of a volume. */
  place({ name }: Pick<NamedVolume, "name">): LocalPlace {
    return new LocalPlace(this.#layout, name);
  }

  /** See {@linkcode VolumeDriver.check}. */
  check(volume: NamedVolume): void {
    planLocal(volume);
  }

  /** See {@linkcode VolumeDriver.create}. */
  async create(volume: NamedVolume, operation: Operation): Promise<void> {
    const place = this.place(volume);
    const plan = planLocal(volume);
    try {
      await makeDirectoryDurably(place.directory, 0o700);
      if (plan.kind === "sized") await this.#createSized(volume, operation);
      else if (kindOf(place.data) === "absent") await this.trees.makeDirectory(place.data);
      await syncDirectory(place.directory);
    } catch (error) {
      throw hostError(error, `Cannot make volume "${volume.name}"`);
    }
  }

  async #createSized(volume: NamedVolume, operation: Operation): Promise<void> {
    const place = this.place(volume);
    if (place.isImage || kindOf(place.data) === "directory") return;
    await this.makeNext(volume, operation);
    faultPoint("volume.sized_made");
    if (kindOf(place.next) === "directory") return await renameDurably(place.next, place.data);
    await Deno.mkdir(place.data, { mode: 0o700 });
    await renameDurably(place.next, place.image);
    faultPoint("volume.image_named");
    await this.#emptyImage(volume, operation);
  }

  /** Makes an empty `next` of the volume's kind, with its limit. What an earlier attempt left there is deleted. */
  async makeNext(volume: NamedVolume, operation: Operation): Promise<void> {
    const { next } = this.place(volume);
    const plan = planLocal(volume);
    await this.trees.remove(next, { sized: plan.kind === "sized" }, operation);
    if (plan.kind === "sized") await this.trees.makeSized(next, plan, operation);
    else await this.trees.makeDirectory(next);
  }

  /** A program that wants an empty directory for its data would not take one with `lost+found`. */
  async #emptyImage(volume: NamedVolume, operation: Operation): Promise<void> {
    const path = await this.mount(volume, operation);
    await prepareImageRoot(path);
    await this.unmount(volume, operation);
  }

  /** See {@linkcode VolumeDriver.undoCreate}. */
  async undoCreate(volume: NamedVolume, operation: Operation): Promise<boolean> {
    const place = this.place(volume);
    if (kindOf(place.directory) === "absent") return true;
    // Nobody was told of it.
    if (this.isMounted(volume)) await this.unmount(volume, operation, { force: true });
    const sized = planLocal(volume).kind === "sized";
    // Of an image the directory is only where it is mounted, and has no limit of its own.
    const limited = sized && !place.isImage && kindOf(place.next) !== "file" && kindOf(place.data) === "directory";
    try {
      await this.trees.remove(place.next, { sized }, operation);
      // Nobody was told of the image yet: nothing but its file system is in it.
      await this.trees.remove(place.image, { sized }, operation);
      if (limited && isEmpty(place.data) && (isSubvolume(place.data) || await this.trees.hasQuota())) {
        await (await this.trees.backingOf(place.data)).remove(place.data, operation);
      }
      for (const path of [place.data, place.directory]) {
        // Not recursive: rmdir(2), which refuses a directory with anything in it.
        await Deno.remove(path).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
      }
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOTEMPTY") return false;
      throw hostError(error, `Cannot undo the making of volume "${volume.name}"`);
    }
    await syncDirectory(this.#layout.volumes);
    return true;
  }

  /** See {@linkcode VolumeDriver.remove}. Moves it to the trash, which every start empties. */
  async remove(volume: NamedVolume): Promise<((operation: Operation) => Promise<void>) | undefined> {
    const { directory, data } = this.place(volume);
    this.refuseMounts(volume);
    const sized = planLocalOrNothing(volume) === "sized" && kindOf(data) === "directory";
    const trash = `${this.#layout.trash}/volume-${crypto.randomUUID()}`;
    try {
      await renameDurably(directory, trash);
    } catch (error) {
      if (isLaminaError(error, "NOT_FOUND")) return undefined;
      throw error;
    }
    return async (operation) => {
      const inTrash = `${trash}/_data`;
      if (sized && kindOf(`${trash}/image`) === "absent" && kindOf(inTrash) === "directory") {
        await (await this.trees.backingOf(inTrash)).remove(inTrash, operation);
      }
      await this.#engine.removeTree(trash, operation);
    };
  }

  /** @throws `CONFLICT` naming what is mounted in the volume's directory. */
  refuseMounts(volume: NamedVolume): void {
    const [mounted] = mountsBelow(currentMountTable(), this.place(volume).directory);
    if (mounted === undefined) return;
    throw new LaminaError(
      "CONFLICT",
      `Cannot remove volume "${volume.name}": something is mounted at ${mounted.target}. Unmount it first`,
      { details: { volume: volume.name, target: mounted.target } },
    );
  }

  /** See {@linkcode VolumeDriver.needsMount}. */
  needsMount(volume: NamedVolume): boolean {
    const { type, size } = volume.options;
    if (type !== undefined) return true;
    return size !== undefined && this.place(volume).isImage;
  }

  /** See {@linkcode VolumeDriver.mountpoint}. */
  mountpoint(volume: NamedVolume): string {
    return this.place(volume).data;
  }

  /** Whether a copy that shares blocks shows one instant: of a subvolume or an image. Of a directory it is made file by file. */
  isFrozenAtOnce(volume: NamedVolume): boolean {
    const { data, isImage } = this.place(volume);
    return isImage || isSubvolume(data);
  }

  /** See {@linkcode VolumeDriver.isMounted}. Asks no server. */
  isMounted(volume: NamedVolume): boolean {
    return mountIdentityIfThere(this.place(volume).data)?.isRoot ?? false;
  }

  /** See {@linkcode VolumeDriver.mount}. */
  async mount(volume: NamedVolume, operation: Operation): Promise<string> {
    const { data, image } = this.place(volume);
    if (!this.needsMount(volume) || this.isMounted(volume)) return data;
    const plan = planLocal(volume);
    const attempted = `Cannot mount volume "${volume.name}"`;
    try {
      if (plan.kind === "mount") await mountPlan(plan, data, this.#mounter, operation);
      else await this.mountImage(image, data, operation);
    } catch (error) {
      const failure = hostError(error, attempted);
      if (failure !== error || failure.message.startsWith(attempted)) throw failure;
      throw new LaminaError(failure.code, `${attempted}: ${failure.message}`, {
        cause: failure,
        details: { ...failure.details, volume: volume.name },
      });
    }
    return data;
  }

  /** Mounts an image of a volume, its own or another, at a directory. */
  async mountImage(image: string, target: string, operation: Operation, readOnly = false): Promise<void> {
    const found = fileSystemOn(image);
    if (found === undefined) {
      throw new LaminaError("DATA_LOSS", `There is no file system in ${image}. Restore the volume from a backup`, {
        details: { path: image },
      });
    }
    const grows = !readOnly && !fillsDevice(image);
    const request = { source: image, target, fs_type: found.fs, read_only: readOnly };
    await mountImage(request, this.#mounter, operation);
    // The check before a file system grows makes the directory anew.
    if (grows) await removeLostFound(target);
  }

  /** See {@linkcode VolumeDriver.unmount}. */
  async unmount(
    volume: NamedVolume,
    operation: Operation,
    options: { readonly force?: boolean } = {},
  ): Promise<void> {
    await unmountNetwork(this.place(volume).data, this.#mounter, operation, options);
  }

  /** Unmounts what was mounted for a volume. */
  async unmountPath(path: string, operation: Operation): Promise<void> {
    await unmountNetwork(path, this.#mounter, operation);
  }

  /** See {@linkcode VolumeDriver.usage}. */
  async usage(volume: NamedVolume, operation: Operation): Promise<VolumeUsage> {
    const { data, directory, image, isImage } = this.place(volume);
    const plan = planLocalOrNothing(volume);
    if (plan === "sized" && (isImage || kindOf(data) === "directory")) {
      const path = isImage ? image : data;
      const { used_bytes, capacity_bytes } = await (await this.trees.backingOf(path)).usage(path, operation);
      return { used_bytes, capacity_bytes, available_bytes: Math.max(0, capacity_bytes - used_bytes) };
    }
    if (plan === "mount") {
      // Elsewhere, and of others as well; in memory it is its own.
      if (!this.isMounted(volume)) return { used_bytes: 0 };
      const entry = currentMountTable().findLast(({ target }) => target === data);
      if (entry?.type !== "tmpfs") return { used_bytes: 0 };
      const { used_bytes, total_bytes, available_bytes } = fileSystemStatus(data);
      return { used_bytes, capacity_bytes: total_bytes, available_bytes };
    }
    const { size_bytes, inodes } = await this.#engine.usage(directory, operation);
    return { used_bytes: size_bytes, inodes_used: inodes };
  }
}

/** Makes the top of a fresh image as the top of a directory would be. */
export async function prepareImageRoot(path: string): Promise<void> {
  try {
    await Deno.chmod(path, 0o755);
    await removeLostFound(path);
  } catch (error) {
    throw hostError(error, `Cannot prepare the file system at ${path}`, { path });
  }
}

/** Unless somebody keeps something in it. */
async function removeLostFound(path: string): Promise<void> {
  try {
    await Deno.remove(`${path}/lost+found`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof Error && "code" in error && error.code === "ENOTEMPTY") return;
    throw error;
  }
}

/** The kind of a volume's plan; a row that an older or newer version wrote may have options that are none. */
function planLocalOrNothing(volume: NamedVolume): "directory" | "sized" | "mount" | undefined {
  try {
    return planLocal(volume).kind;
  } catch (error) {
    if (isLaminaError(error, "INVALID_ARGUMENT")) return undefined;
    throw error;
  }
}

function isEmpty(directory: string): boolean {
  for (const _ of Deno.readDirSync(directory)) return false;
  return true;
}
