/**
 * What was written in a btrfs snapshot since it was made, found by the transaction numbers that the file system keeps in
 * every block of its trees: what did not change is not even read.
 *
 * The trees say what has been committed: callers commit or sync first.
 */
import { searchTree, SUBVOLUME_ROOT_INO, type TreeItem } from "./btrfs_calls.ts";

const INODE_ITEM = 1;
const INODE_REF = 12;
const INODE_EXTREF = 13;
const EXTENT_DATA = 108;
const LAST_INODE = 0xffff_ffff_ffff_ff00n;
const le = true;

/**
 * Inodes of the subvolume `fd` that were touched since the transaction `since`, and the directories above them: whatever
 * is not among them is, with everything below it, as it was then.
 *
 * @param check Called once per system call; throws to end the search.
 */
export function touchedInodes(fd: number, since: bigint, check?: () => void): Set<bigint> {
  // Whoever is in here has its parents in `above`, or in here, too.
  const touched = new Set<bigint>([SUBVOLUME_ROOT_INO]);
  const above: bigint[] = [];
  let inode = 0n, unseenLinks = 0;
  const finish = () => {
    // Some of its names lie in blocks that nobody has written to.
    if (unseenLinks > 0) above.push(...parentsOf(fd, inode, check));
    unseenLinks = 0;
  };
  const range = { tree: 0n, objectIds: [SUBVOLUME_ROOT_INO, LAST_INODE], types: [INODE_ITEM, INODE_EXTREF] } as const;
  for (const item of searchTree(fd, { ...range, since }, check)) {
    if (item.type === INODE_ITEM) {
      finish();
      if (item.data.getBigUint64(8, le) < since) continue;
      inode = item.objectId;
      unseenLinks = inode === SUBVOLUME_ROOT_INO ? 0 : item.data.getUint32(40, le);
      touched.add(inode);
    } else if (item.objectId === inode) {
      for (const parent of parentsIn(item)) {
        above.push(parent);
        unseenLinks--;
      }
    }
  }
  finish();
  for (let directory = above.pop(); directory !== undefined; directory = above.pop()) {
    if (touched.has(directory)) continue;
    touched.add(directory);
    above.push(...parentsOf(fd, directory, check));
  }
  return touched;
}

/**
 * What a subvolume has written since the transaction `since`: bytes on disk (compressed ones count as they lie there),
 * and inodes that are new.
 */
export function writtenSince(
  fd: number,
  since: bigint,
  check?: () => void,
): { size_bytes: number; inodes: number } {
  let size_bytes = 0, inodes = 0;
  const extents = new Set<bigint>();
  const range = { tree: 0n, objectIds: [SUBVOLUME_ROOT_INO, LAST_INODE], types: [INODE_ITEM, EXTENT_DATA] } as const;
  for (const { type, objectId, data } of searchTree(fd, { ...range, since }, check)) {
    if (type !== INODE_ITEM && type !== EXTENT_DATA || data.getBigUint64(0, le) <= since) continue;
    if (type === INODE_ITEM) {
      if (objectId !== SUBVOLUME_ROOT_INO) inodes++;
      continue;
    }
    // struct btrfs_file_extent_item: generation, ram_bytes, compression, encryption, encoding, type, then either the
    // data itself or disk_bytenr and disk_num_bytes
    if (data.getUint8(20) === INLINE) size_bytes += data.byteLength - 21;
    else {
      const place = data.getBigUint64(21, le);
      // A hole has no place; an extent that is split by later writes has several items.
      if (place === 0n || extents.has(place)) continue;
      extents.add(place);
      size_bytes += Number(data.getBigUint64(29, le));
    }
  }
  return { size_bytes, inodes };
}

const INLINE = 0;

function parentsOf(fd: number, inode: bigint, check?: () => void): bigint[] {
  const range = { tree: 0n, objectIds: [inode, inode], types: [INODE_REF, INODE_EXTREF] } as const;
  const parents: bigint[] = [];
  for (const item of searchTree(fd, range, check)) parents.push(...parentsIn(item));
  return parents;
}

/** One per name. */
function parentsIn({ type, offset, data }: TreeItem): bigint[] {
  const parents: bigint[] = [];
  if (type === INODE_REF) {
    // Names in one directory: index, length, name.
    for (let at = 0; at < data.byteLength; at += 10 + data.getUint16(at + 8, le)) parents.push(offset);
  } else if (type === INODE_EXTREF) {
    // Names whose hashes are equal: directory, index, length, name.
    for (let at = 0; at < data.byteLength; at += 18 + data.getUint16(at + 16, le)) {
      parents.push(data.getBigUint64(at, le));
    }
  }
  return parents;
}
