/** Subvolumes limited by quota groups of btrfs: all that a subvolume holds counts, shared with a snapshot or not. */
import { basename, dirname } from "@std/path/posix";
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import {
  createSnapshot,
  createSubvolume,
  isSubvolumeTop,
  setReadOnlySubvolume,
  subvolumeInfo,
  withDirectory,
} from "../../../runtime/host/btrfs_calls.ts";
import { limitReferenced, quotaState, subvolumeQuotas } from "../../../runtime/host/btrfs_quota.ts";
import { syncDirectory, syncFileSystem } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { mountsBelow, readMountTable } from "../../../runtime/host/mount_table.ts";
import { openLimits } from "../../storage/btrfs/btrfs_limits.ts";
import { deleteSubvolumes } from "../../storage/btrfs/delete_subvolumes.ts";
import type { CopyOptions, SizedBacking, SizedRequest, SizedUsage } from "./port.ts";

/** Whether the btrfs of `directory` counts what its subvolumes hold. */
export function quotasAreOn(directory: string): Promise<boolean> {
  return withDirectory(byteStringFromText(directory), (fd) => quotaState(fd).mode !== "off");
}

/** Turns quotas on, the cheap kind where the kernel has it (Linux 6.7). @throws `UNSUPPORTED` */
export async function turnQuotasOn(directory: string, operation: Operation): Promise<void> {
  if (await quotasAreOn(directory)) return;
  try {
    await openLimits(directory, "simple", operation);
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    await openLimits(directory, "on", operation);
  }
}

/** See the head of the file. */
export class BtrfsBacking implements SizedBacking {
  readonly name = "btrfs";

  async make(path: string, { size_bytes, mode, inodes }: SizedRequest): Promise<{ size_bytes: number }> {
    if (inodes !== undefined) {
      throw new LaminaError("UNSUPPORTED", `Cannot limit the number of files in ${path}: btrfs has no such limit`);
    }
    try {
      await inDirectoryOf(path, (parent, name) => createSubvolume(parent, name));
      await Deno.chmod(path, mode);
      await withDirectory(byteStringFromText(path), (fd) => limitReferenced(fd, size_bytes));
      await syncFileSystem(path);
    } catch (error) {
      throw hostError(error, `Cannot make the subvolume ${path}`, { path });
    }
    return { size_bytes };
  }

  async grow(path: string, size_bytes: number): Promise<{ size_bytes: number; pending: boolean }> {
    const { capacity_bytes } = await this.usage(path);
    if (size_bytes <= capacity_bytes) return { size_bytes: capacity_bytes, pending: false };
    try {
      await withDirectory(byteStringFromText(path), (fd) => limitReferenced(fd, size_bytes));
      await syncFileSystem(path);
    } catch (error) {
      throw hostError(error, `Cannot raise the limit of the subvolume ${path}`, { path });
    }
    return { size_bytes, pending: false };
  }

  async usage(path: string): Promise<SizedUsage> {
    try {
      return await withDirectory(byteStringFromText(path), (fd) => {
        const quota = subvolumeQuotas(fd).get(subvolumeInfo(fd).id);
        const used_bytes = quota?.referenced_bytes ?? 0;
        return { used_bytes, capacity_bytes: quota?.referencedLimit_bytes ?? 0, allocated_bytes: used_bytes };
      });
    } catch (error) {
      throw hostError(error, `Cannot read the quota of the subvolume ${path}`, { path });
    }
  }

  async remove(path: string, operation: Operation): Promise<void> {
    const [mount] = mountsBelow(readMountTable(), path);
    if (mount !== undefined) {
      throw new LaminaError("CONFLICT", `Cannot delete ${path}: something is mounted at ${mount.target}. Unmount it`);
    }
    try {
      if (!await withDirectory(byteStringFromText(path), isSubvolumeTop)) {
        throw new LaminaError("CONFLICT", `Cannot delete ${path}: it is no subvolume`);
      }
    } catch (error) {
      if (isErrno(error, "ENOENT")) return;
      throw hostError(error, `Cannot delete the subvolume ${path}`, { path });
    }
    await deleteSubvolumes(
      byteStringFromText(dirname(path)),
      operation,
      byteStringFromText(basename(path)),
    );
    await syncDirectory(dirname(path));
  }

  async copy(from: string, to: string, { limit_bytes }: CopyOptions): Promise<void> {
    try {
      await withDirectory(
        byteStringFromText(from),
        (source) => inDirectoryOf(to, (parent, name) => createSnapshot(source, parent, name)),
      );
      await withDirectory(byteStringFromText(to), async (fd) => {
        await limitReferenced(fd, limit_bytes);
        if (limit_bytes === undefined) await setReadOnlySubvolume(fd, true);
      });
      await syncFileSystem(to);
    } catch (error) {
      throw hostError(error, `Cannot make the snapshot ${to} of ${from}`, { path: to });
    }
  }
}

function inDirectoryOf(
  path: string,
  body: (parent: number, name: ReturnType<typeof byteStringFromText>) => Promise<void>,
): Promise<void> {
  return withDirectory(
    byteStringFromText(dirname(path)),
    (parent) => body(parent, byteStringFromText(basename(path))),
  );
}
