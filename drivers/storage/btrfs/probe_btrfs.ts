/** Asks kernel and file system, by making a subvolume and a snapshot of it, whether the btrfs driver can work. */
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { messageOf } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import {
  createSnapshot,
  createSubvolume,
  nestedSubvolumes,
  subvolumeInfo,
  withDirectory,
} from "../../../runtime/host/btrfs_calls.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { errnoOf, hostError } from "../../../runtime/host/errno_errors.ts";
import { inUserNamespace, knownFileSystems } from "../../../runtime/host/host_facts.ts";
import type { DriverNeed } from "../driver_factory.ts";
import { deleteSubvolumes } from "./delete_subvolumes.ts";

/** The answer; `reason` is a clause. */
export type BtrfsProbe =
  | { readonly supported: true }
  | { readonly supported: false; readonly reason: string; readonly needs: readonly DriverNeed[] };

const ST_RDONLY = 1;

/**
 * Probes in a fresh directory below `directory` (absolute, existing), which is gone afterwards. What a probe that was
 * killed left there is taken away first.
 *
 * @throws only what says nothing about btrfs: cancellation, a full disk.
 */
export async function probeBtrfs(directory: string, operation: Operation): Promise<BtrfsProbe> {
  const { type, flags } = fileSystemStatus(directory);
  if (type !== "btrfs") {
    const known = knownFileSystems().has("btrfs");
    return {
      supported: false,
      reason: `the root lies on ${type}; it has to lie on btrfs (mkfs.btrfs is in the package btrfs-progs` +
        `${known ? "" : "; the kernel's module btrfs is not loaded"})`,
      needs: [
        { fileSystem: "btrfs", package: "btrfs-progs" },
        ...(known ? [] : [{ module: "btrfs", kernelOption: "CONFIG_BTRFS_FS" }]),
      ],
    };
  }
  if ((flags & ST_RDONLY) !== 0) {
    return { supported: false, reason: "the file system is mounted read-only", needs: [{ mountOption: "rw" }] };
  }
  if (inUserNamespace()) {
    return { supported: false, reason: "deleting subvolumes and finding changes needs the machine's root", needs: [] };
  }
  for await (const { name } of Deno.readDir(directory)) {
    if (name.startsWith("probe-")) await clear(`${directory}/${name}`, operation);
  }
  const home = await Deno.makeTempDir({ dir: directory, prefix: "probe-" });
  try {
    await tryOut(home);
    return { supported: true };
  } catch (error) {
    operation.signal.throwIfAborted();
    if (["ENOSPC", "EDQUOT", "EIO"].includes(errnoOf(error) ?? "")) {
      throw hostError(error, `Cannot try subvolumes out in ${directory}`);
    }
    return { supported: false, reason: `subvolumes cannot be made here: ${messageOf(error)}`, needs: [] };
  } finally {
    await clear(home, operation);
  }
}

async function tryOut(home: string): Promise<void> {
  const [one, two] = [byteStringFromText("one"), byteStringFromText("two")];
  await withDirectory(byteStringFromText(home), async (fd) => {
    await createSubvolume(fd, one);
    await withDirectory(one, (source) => createSnapshot(source, fd, two), fd);
    await withDirectory(two, (tree) => [subvolumeInfo(tree), nestedSubvolumes(tree)], fd);
  });
}

async function clear(home: string, operation: Operation): Promise<void> {
  // The probe may have been cancelled; cleaning up is not.
  const signal = operation.signal.aborted ? new AbortController().signal : operation.signal;
  await deleteSubvolumes(byteStringFromText(home), { ...operation, signal });
  await Deno.remove(home, { recursive: true });
}
