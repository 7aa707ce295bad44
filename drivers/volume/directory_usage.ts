/** Space of a volume's directory, whatever limits it. */
import type { Operation } from "../../runtime/core/operation.ts";
import { deviceSize_bytes } from "../../runtime/host/block_devices.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { ErrnoError } from "../../runtime/host/libc.ts";
import { currentMountTable, mountAtTarget } from "../../runtime/host/mount_table.ts";
import { projectOf, type ProjectUsage, projectUsage } from "../../runtime/host/project_quota.ts";
import type { LayerEngine } from "../storage/layer/engine.ts";
import type { VolumeUsage } from "./port.ts";
import { BtrfsBacking } from "./sized/btrfs_backing.ts";

/** Inode number of the top of every btrfs subvolume. */
const SUBVOLUME_INO = 256;

/** Space of a file system that is a volume of its own. */
export function fileSystemUsage(path: string): VolumeUsage {
  const { used_bytes, total_bytes, available_bytes, totalInodes, freeInodes } = fileSystemStatus(path);
  return {
    used_bytes,
    capacity_bytes: total_bytes,
    available_bytes,
    ...(totalInodes > 0 && { inodes_used: totalInodes - freeInodes }),
  };
}

/**
 * What the volume at `path` takes and may take: of its own file system, its project, its subvolume, its device; where it
 * has none of these, its files are counted.
 */
export async function volumeUsage(path: string, engine: LayerEngine, operation: Operation): Promise<VolumeUsage> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    throw hostError(error, `Cannot look at ${path}`, { path });
  }
  if (info.isBlockDevice) {
    const size_bytes = deviceSize_bytes(path);
    return { used_bytes: size_bytes, capacity_bytes: size_bytes, available_bytes: 0 };
  }
  // Not a bind of a part of one.
  if (mountAtTarget(currentMountTable(), path)?.root === "/") return fileSystemUsage(path);
  const project = limitedProject(path);
  if (project !== undefined) return limited(project.used_bytes, project.limit_bytes, project.used_inodes);
  if (isSubvolume(path, info)) {
    const { used_bytes, capacity_bytes } = await new BtrfsBacking().usage(path);
    if (capacity_bytes > 0) return limited(used_bytes, capacity_bytes);
  }
  const { size_bytes, inodes } = await engine.usage(path, operation);
  return { used_bytes: size_bytes, inodes_used: inodes };
}

/** The project of a directory, if the kernel has a limit for it. */
export function limitedProject(path: string): ProjectUsage | undefined {
  try {
    const { projectId, inherited } = projectOf(path);
    const usage = inherited && projectId !== 0 ? projectUsage(path, projectId) : undefined;
    return usage !== undefined && usage.limit_bytes > 0 ? usage : undefined;
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}

/** Whether a directory is the top of a btrfs subvolume. */
export function isSubvolume(path: string, { ino }: Deno.FileInfo): boolean {
  return ino === SUBVOLUME_INO && fileSystemStatus(path).type === "btrfs";
}

function limited(used_bytes: number, capacity_bytes: number, inodes_used?: number): VolumeUsage {
  const available_bytes = Math.max(0, capacity_bytes - used_bytes);
  return { used_bytes, capacity_bytes, available_bytes, ...(inodes_used !== undefined && { inodes_used }) };
}
