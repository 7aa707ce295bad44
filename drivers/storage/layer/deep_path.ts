/** Paths longer than one system call takes. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, openAt, openDirectoryAt } from "../../../runtime/host/fs_calls.ts";
import { O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";

/** A path for one system call may have 4,095 bytes; longer ones are walked in pieces of at most this many. */
export const MAX_PIECE_BYTES = 3500;

/**
 * Opens the directory `path` below `rootFd`, however long the path is. Its components must be known to be directories:
 * only the last one of each piece is kept from being a symbolic link. An empty path opens the root anew.
 */
export function openPathFd(rootFd: number, path: ByteString): Disposable & { readonly fd: number } {
  let fd = openAt(rootFd, "." as ByteString, O_RDONLY | O_DIRECTORY);
  try {
    for (let at = 0; at < path.length;) {
      let end = path.length;
      if (end - at > MAX_PIECE_BYTES) end = path.lastIndexOf("/", at + MAX_PIECE_BYTES);
      const next = openDirectoryAt(fd, path.slice(at, end) as ByteString);
      closeFd(fd);
      fd = next;
      at = end + 1;
    }
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return { fd, [Symbol.dispose]: () => closeFd(fd) };
}
