/** Which inodes of a tree may differ from its parent's. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { touchedInodes } from "../../../runtime/host/btrfs_changes.ts";
import { statxAtIfPresent, statxFd } from "../../../runtime/host/fs_calls.ts";
import { openPathFd } from "./deep_path.ts";
import type { TouchedPlaces } from "./engine.ts";

/**
 * Numbers of the inodes that were touched and of every directory above them; `undefined`: it may be any.
 *
 * @param rootFd The tree.
 */
export function touchedInodesOf(
  rootFd: number,
  touched: TouchedPlaces,
  check: () => void = () => {},
): Set<bigint> | undefined {
  if (touched.kind === "btrfs") return touchedInodes(rootFd, touched.since, check);
  const inodes = new Set<bigint>([statxFd(rootFd).ino]);
  for (const path of touched.paths) {
    check();
    if (!addPath(rootFd, path, inodes)) return undefined;
  }
  return inodes;
}

/**
 * Every inode on the way; what is not there any more was deleted from a directory that is. False for a file that has
 * more names: they may be anywhere, and nobody says where.
 */
function addPath(rootFd: number, path: ByteString, inodes: Set<bigint>): boolean {
  const names = path.split("/");
  for (let depth = 1; depth <= names.length; depth++) {
    const name = names[depth - 1] as ByteString;
    using parent = openPathFd(rootFd, names.slice(0, depth - 1).join("/") as ByteString);
    const status = statxAtIfPresent(parent.fd, name);
    if (status === undefined) return true;
    inodes.add(status.ino);
    if (status.type !== "directory") return status.nlink === 1;
  }
  return true;
}
