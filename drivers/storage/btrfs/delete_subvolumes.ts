/** Deletes subvolumes, with those that somebody made inside them. */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import {
  destroySubvolume,
  isSubvolumeTop,
  nestedSubvolumes,
  setReadOnlySubvolume,
  withDirectory,
} from "../../../runtime/host/btrfs_calls.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { readDirectory, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";

/**
 * Deletes the subvolumes that lie directly in a directory; their blocks are freed in the background.
 *
 * @param only The one of this name; absent: all of them.
 * @throws `RESOURCE_EXHAUSTED`, `UNAVAILABLE` (read-only), …
 */
export async function deleteSubvolumes(directory: ByteString, operation: Operation, only?: ByteString): Promise<void> {
  try {
    await withDirectory(directory, async (fd) => {
      for (const name of only === undefined ? readDirectory(fd) : [only]) {
        if (statxAtIfPresent(fd, name)?.type !== "directory") continue;
        const isSubvolume = await withDirectory(name, isSubvolumeTop, fd);
        if (isSubvolume) await deleteSubvolume(fd, name, operation);
      }
    });
  } catch (error) {
    throw hostError(error, `Cannot delete the subvolumes in ${displayName(directory)}`);
  }
}

/** Innermost first: the kernel deletes none that holds another. */
async function deleteSubvolume(directory: number, name: ByteString, operation: Operation): Promise<void> {
  operation.signal.throwIfAborted();
  await withDirectory(name, async (fd) => {
    const nested = nestedSubvolumes(fd);
    // Nothing is deleted from a read-only one.
    if (nested.length > 0) await setReadOnlySubvolume(fd, false);
    for (const path of nested) {
      const slash = path.lastIndexOf("/");
      await withDirectory(
        slash < 0 ? "." as ByteString : path.slice(0, slash) as ByteString,
        (parent) => deleteSubvolume(parent, path.slice(slash + 1) as ByteString, operation),
        fd,
      );
    }
  }, directory);
  await destroySubvolume(directory, name);
}
