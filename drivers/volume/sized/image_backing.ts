/** Files with a file system inside, for loop devices: a limit that holds on every file system, for everybody. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { loopsOf, refreshLoop } from "../../../runtime/host/block_devices.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { growFile, shareFile } from "../../../runtime/host/image_files.ts";
import { fileSystemOn, makeFileSystem } from "../../storage/devicemapper/file_systems.ts";
import { fillDevice, fillsDevice, growthObstacle, mountOfImage } from "./image_mount.ts";
import type { Grown, ImageFileSystem, SizedBacking, SizedRequest, SizedUsage } from "./port.ts";

const MIB = 2 ** 20;
/** Smaller ones cannot be made, or hold nothing but themselves. */
const SMALLEST_BYTES: Readonly<Record<ImageFileSystem | "none", number>> = { ext4: 8 * MIB, xfs: 300 * MIB, none: MIB };

/** What an image of at least `size_bytes` really has. Pure. */
export function imageSize_bytes(size_bytes: number, fs_type: ImageFileSystem | "none"): number {
  return Math.max(Math.ceil(size_bytes / MIB) * MIB, SMALLEST_BYTES[fs_type]);
}

/** @throws `CONFLICT` while a loop device shows an image. */
export function refuseShown(path: string): void {
  const [device] = loopsOf(path);
  if (device === undefined) return;
  const mount = mountOfImage(path);
  const where = mount === undefined ? "" : `, mounted at ${mount.target}`;
  throw new LaminaError("CONFLICT", `Cannot delete ${path}: ${device} shows it${where}. Stop what uses it`, {
    details: { path, device },
  });
}

/** See the head of the file. */
export class ImageBacking implements SizedBacking {
  readonly name = "image";

  async make(path: string, request: SizedRequest, operation: Operation): Promise<{ size_bytes: number }> {
    const size_bytes = imageSize_bytes(request.size_bytes, request.fs_type);
    if (request.inodes !== undefined && request.fs_type !== "ext4") {
      throw new LaminaError("UNSUPPORTED", `Cannot limit the number of files in ${path}: only images with ext4 can`);
    }
    try {
      await growFile(path, size_bytes, request);
      if (request.fs_type !== "none") {
        await makeFileSystem(request.fs_type, path, operation, { inodes: request.inodes });
        await growFile(path, size_bytes, request);
      }
    } catch (error) {
      await Deno.remove(path).catch(() => {});
      throw hostError(error, `Cannot make the image ${path} of ${size_bytes} bytes`, { path });
    }
    return { size_bytes };
  }

  async grow(
    path: string,
    wanted_bytes: number,
    operation: Operation,
  ): Promise<Grown> {
    try {
      const { size, blocks } = await Deno.stat(path);
      const size_bytes = Math.max(Math.ceil(wanted_bytes / MIB) * MIB, size);
      // A sparse one stays sparse.
      const sparse = (blocks ?? 0) * 512 < size - MIB;
      if (size_bytes > size) {
        try {
          await growFile(path, size_bytes, { sparse });
        } catch (error) {
          await giveBack(path, size);
          throw error;
        }
      }
      for (const device of loopsOf(path)) refreshLoop(device);
      const pending = !await fillDevice(path, operation);
      const obstacle = pending ? growthObstacle(path) : undefined;
      return { size_bytes, pending, ...(obstacle !== undefined && { obstacle }) };
    } catch (error) {
      throw hostError(error, `Cannot grow the image ${path} to ${wanted_bytes} bytes`, { path });
    }
  }

  // deno-lint-ignore require-await
  async usage(path: string): Promise<SizedUsage> {
    try {
      const { size, blocks } = Deno.statSync(path);
      const allocated_bytes = (blocks ?? 0) * 512;
      const mount = mountOfImage(path);
      const used_bytes = mount !== undefined
        ? fileSystemStatus(mount.target).used_bytes
        : fileSystemOn(path)?.settled?.size_bytes ?? allocated_bytes;
      return { used_bytes, capacity_bytes: size, allocated_bytes };
    } catch (error) {
      throw hostError(error, `Cannot measure the image ${path}`, { path });
    }
  }

  async remove(path: string): Promise<void> {
    refuseShown(path);
    try {
      await Deno.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw hostError(error, `Cannot delete the image ${path}`, { path });
    }
  }

  async copy(from: string, to: string): Promise<void> {
    try {
      // What was written and acknowledged shall be in the copy; what is under way the journal puts right.
      const mount = mountOfImage(from);
      if (mount !== undefined) await syncFileSystem(mount.target);
      if (await shareFile(from, to)) return;
    } catch (error) {
      throw hostError(error, `Cannot copy the image ${from}`, { path: from });
    }
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot copy the image ${from}: its file system cannot share blocks between files. xfs and btrfs can; ` +
        "so can lamina.dev/lvm",
    );
  }
}

/** Nothing lies behind the old end yet. */
async function giveBack(path: string, size_bytes: number): Promise<void> {
  if (loopsOf(path).length === 0 || fillsDevice(path)) await Deno.truncate(path, size_bytes).catch(() => {});
}
