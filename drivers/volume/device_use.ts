/** What all plugins with a device of this machine do alike: mounting its file system, showing it raw, growing it. */
import type { Mount } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { prepareDevice } from "../../runtime/host/format_device.ts";
import { mountIdentityIfThere } from "../../runtime/host/mount_table.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import { warn } from "./plugin_context.ts";
import type { VolumeSpec } from "./port.ts";
import { fillDevice, mountImage, mountOfImage } from "./sized/image_mount.ts";

/** What is to be mounted. */
export interface DeviceMount {
  /** A block device. */
  readonly device: string;
  /** What it is known by, when it is a loop device on a file: the file. */
  readonly source?: string;
  readonly target: string;
  /** Absent: what is on it, ext4 on an empty one. */
  readonly fs_type?: string;
  readonly read_only: boolean;
  readonly options: readonly string[];
}

/** Whether nobody may ever write to the device; a use of it may be read-only by itself. */
export function isReadOnlyDevice({ access_modes }: VolumeSpec): boolean {
  return access_modes.length > 0 && access_modes.every((mode) => mode === "ReadOnlyMany");
}

/**
 * Mounts a device, with a file system on it then, that fills it. Mounted already: success.
 *
 * @throws as `prepareDevice` and `Mounter.mount`.
 */
export async function mountDevice(request: DeviceMount, mounter: Mounter, operation: Operation): Promise<void> {
  const { device, target, read_only } = request;
  if (mountIdentityIfThere(target)?.isRoot) return;
  const type = await prepareDevice({ device, type: request.fs_type, read_only }, operation);
  if (type === "ext4" || type === "xfs") {
    const source = request.source ?? device;
    return await mountImage({ source, target, fs_type: type, read_only, options: request.options }, mounter, operation);
  }
  const options = [read_only ? "ro" : "rw", ...request.options];
  await mounter.mount([{ type, source: device, target, options }], operation);
}

/**
 * Lets a mounted file system fill its device, now or, where the kernel cannot do that online, at its next mount.
 *
 * @returns as `VolumePlugin.expand`.
 */
export async function growMounted(
  device: string,
  spec: VolumeSpec,
  operation: Operation,
): Promise<boolean | undefined> {
  const mount = mountOfImage(device);
  // The superblock on the device may lag behind what is mounted.
  const size_bytes = () => mount === undefined ? 0 : fileSystemStatus(mount.target).total_bytes;
  const before_bytes = size_bytes();
  if (await fillDevice(device, operation)) return size_bytes() > before_bytes ? true : undefined;
  warn(operation, spec, `the file system on ${device} cannot grow while it is mounted here: it will at its next mount`);
  return false;
}

/** What bind-mounts a device, or the place where it is mounted, into a workload. */
export function bindOf(source: string, spec: VolumeSpec): Mount {
  return { type: "bind", source, target: "", options: ["bind", ...(spec.read_only ? ["ro"] : [])] };
}
