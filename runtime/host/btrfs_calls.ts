/**
 * Subvolumes and snapshots of btrfs by ioctl (linux/btrfs.h): a system call instead of a process, and no package. Those
 * that wait for a disk run on another thread. Failures throw `ErrnoError`.
 */
import { bytesOf, type ByteString, byteStringOf } from "../core/bytes.ts";
import { closeFd, openDirectoryAt, statxFd } from "./fs_calls.ts";
import { checked, libc, slowLibc } from "./libc.ts";
import { AT_FDCWD } from "./openat2.ts";

/** `_IOC` of asm-generic/ioctl.h, which x86-64 and arm64 share. */
function request(direction: "none" | "write" | "read" | "both", number: number, size_bytes: number): bigint {
  const bits = { none: 0, write: 1, read: 2, both: 3 }[direction];
  return BigInt(bits) << 30n | BigInt(size_bytes) << 16n | 0x94n << 8n | BigInt(number);
}

const SYNC = request("none", 8, 0);
const SNAP_DESTROY = request("write", 15, 4096);
const TREE_SEARCH_V2 = request("both", 17, 112);
const INO_LOOKUP = request("both", 18, 4096);
const SNAP_CREATE_V2 = request("write", 23, 4096);
const SUBVOL_CREATE_V2 = request("write", 24, 4096);
const SUBVOL_GETFLAGS = request("read", 25, 8);
const SUBVOL_SETFLAGS = request("write", 26, 8);
const GET_SUBVOL_INFO = request("read", 60, 504);
const READ_ONLY = 2n;
const le = true;

/** Inode number of the top directory of every subvolume. */
export const SUBVOLUME_ROOT_INO = 256n;

/** A call that does not wait for the disk. */
export function ioctl(fd: number, code: bigint, buffer: Uint8Array<ArrayBuffer>, what: string): void {
  const pointer = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
  checked(libc.ioctl(fd, code, pointer), "ioctl", what);
}

/** A call that may, on another thread. It must change nothing when it fails. */
export async function slowIoctl(
  fd: number,
  code: bigint,
  buffer: Uint8Array<ArrayBuffer>,
  what: string,
): Promise<void> {
  const given = buffer.slice();
  if (await slowLibc.ioctl(fd, code, buffer) >= 0) return;
  // Its `errno` stayed on the other thread: once more here, where it can be read.
  ioctl(fd, code, given, what);
  buffer.set(given);
}

/** Makes the empty subvolume `name` (no slash) in the directory `dirFd`. Durable with the next sync of the file system. */
export async function createSubvolume(dirFd: number, name: ByteString): Promise<void> {
  await slowIoctl(dirFd, SUBVOL_CREATE_V2, volumeArguments(name), `make the subvolume ${name}`);
}

/** Makes the writable snapshot `name` of the subvolume `sourceFd`. Durable, with everything around it, when it returns. */
export async function createSnapshot(sourceFd: number, dirFd: number, name: ByteString): Promise<void> {
  const args = volumeArguments(name);
  new DataView(args.buffer).setBigInt64(0, BigInt(sourceFd), le);
  await slowIoctl(dirFd, SNAP_CREATE_V2, args, `make the snapshot ${name}`);
}

/** Removes the subvolume `name`, which holds no other subvolume; its blocks are freed in the background. */
export async function destroySubvolume(dirFd: number, name: ByteString): Promise<void> {
  const args = new Uint8Array(4096);
  args.set(bytesOf(name), 8);
  await slowIoctl(dirFd, SNAP_DESTROY, args, `delete the subvolume ${name}`);
}

// struct btrfs_ioctl_vol_args_v2: fd, transid, flags, four words, name.
function volumeArguments(name: ByteString): Uint8Array<ArrayBuffer> {
  const args = new Uint8Array(4096);
  args.set(bytesOf(name), 56);
  return args;
}

/** Whether an open directory is the top of a subvolume. Only on btrfs. */
export function isSubvolumeTop(fd: number): boolean {
  return statxFd(fd).ino === SUBVOLUME_ROOT_INO;
}

/** Whether a subvolume is read-only by its own flag. */
export function isReadOnlySubvolume(fd: number): boolean {
  return (subvolumeFlags(fd)[0]! & READ_ONLY) !== 0n;
}

/** Sets or takes away that flag. Durable when it returns. */
export async function setReadOnlySubvolume(fd: number, readOnly: boolean): Promise<void> {
  const flags = subvolumeFlags(fd);
  const wanted = readOnly ? flags[0]! | READ_ONLY : flags[0]! & ~READ_ONLY;
  if (wanted === flags[0]) return;
  flags[0] = wanted;
  await slowIoctl(fd, SUBVOL_SETFLAGS, new Uint8Array(flags.buffer), "set the subvolume's flags");
}

function subvolumeFlags(fd: number): BigUint64Array<ArrayBuffer> {
  const flags = new BigUint64Array(1);
  ioctl(fd, SUBVOL_GETFLAGS, new Uint8Array(flags.buffer), "read the subvolume's flags");
  return flags;
}

/** What a subvolume says of itself. */
export interface SubvolumeInfo {
  readonly id: bigint;
  readonly uuid: string;
  /** Of the subvolume that it was made from; all zeros for none. */
  readonly parentUuid: string;
  /** The transaction that made it: what was changed in it since has a generation above. */
  readonly madeIn: bigint;
}

/** Reads it from the top directory of a subvolume (or any inode in it). */
export function subvolumeInfo(fd: number): SubvolumeInfo {
  const info = new Uint8Array(504);
  ioctl(fd, GET_SUBVOL_INFO, info, "read the subvolume's state");
  const view = new DataView(info.buffer);
  // treeid, name[256], parent_id, dirid, generation, flags, uuid, parent_uuid, received_uuid, ctransid, otransid
  const uuid = (at: number) => info.subarray(at, at + 16).toHex();
  return { id: view.getBigUint64(0, le), uuid: uuid(296), parentUuid: uuid(312), madeIn: view.getBigUint64(352, le) };
}

/** Syncs the file system and wakes who frees what was deleted, who else would only look every half minute. */
export async function syncBtrfs(fd: number): Promise<void> {
  await slowIoctl(fd, SYNC, new Uint8Array(8), "sync");
}

/** One item of a tree. `data` is only valid until the search's next step. */
export interface TreeItem {
  readonly objectId: bigint;
  readonly type: number;
  readonly offset: bigint;
  readonly data: DataView<ArrayBuffer>;
}

/** From where to where a tree is searched, by the order of (objectId, type, offset). */
export interface TreeRange {
  /** 0: the subvolume of the descriptor. 1: the tree of tree roots. 8: the tree of quota groups. */
  readonly tree: bigint;
  readonly objectIds: readonly [bigint, bigint];
  readonly types: readonly [number, number];
  /** Only leaves that were written in this transaction or later. Default: all. */
  readonly since?: bigint;
}

const MAX = 0xffff_ffff_ffff_ffffn;
const SEARCH_BUFFER_BYTES = 256 * 1024;

/**
 * The items of a tree in a range. What has been changed and not committed yet may be missing. Needs CAP_SYS_ADMIN.
 *
 * @param check Called once per system call; throws to end the search.
 */
export function* searchTree(fd: number, range: TreeRange, check: () => void = () => {}): Generator<TreeItem> {
  const buffer = new Uint8Array(112 + SEARCH_BUFFER_BYTES);
  const view = new DataView(buffer.buffer);
  let [objectId] = range.objectIds, [type] = range.types, offset = 0n;
  for (;;) {
    check();
    // tree, objectid, offset and transid from and to, types from and to, count, padding, size of the buffer
    [range.tree, objectId, range.objectIds[1], offset, MAX, range.since ?? 0n, MAX]
      .forEach((value, i) => view.setBigUint64(i * 8, value, le));
    view.setUint32(56, type, le);
    view.setUint32(60, range.types[1], le);
    view.setUint32(64, 0xffffffff, le);
    view.setBigUint64(104, BigInt(SEARCH_BUFFER_BYTES), le);
    ioctl(fd, TREE_SEARCH_V2, buffer, `search the tree ${range.tree}`);
    const count = view.getUint32(64, le);
    if (count === 0) return;
    let at = 112;
    for (let i = 0; i < count; i++) {
      objectId = view.getBigUint64(at + 8, le);
      offset = view.getBigUint64(at + 16, le);
      type = view.getUint32(at + 24, le);
      const length = view.getUint32(at + 28, le);
      // The range is one of whole keys: between its ends there are items of every type.
      if (type >= range.types[0] && type <= range.types[1]) {
        yield { objectId, type, offset, data: new DataView(buffer.buffer, at + 32, length) };
      }
      at += 32 + length;
    }
    // The key after the last one.
    if (offset < MAX) offset++;
    else if (type < 255) [type, offset] = [type + 1, 0n];
    else if (objectId < range.objectIds[1]) [objectId, type, offset] = [objectId + 1n, 0, 0n];
    else return;
  }
}

const ROOT_REF = 156;

/** Where a subvolume holds other subvolumes: paths relative to its top. */
export function nestedSubvolumes(fd: number): ByteString[] {
  const { id } = subvolumeInfo(fd);
  const places: Array<{ directory: bigint; name: ByteString }> = [];
  for (const { data } of searchTree(fd, { tree: 1n, objectIds: [id, id], types: [ROOT_REF, ROOT_REF] })) {
    // struct btrfs_root_ref: dirid, sequence, name_len, name
    const name = new Uint8Array(data.buffer, data.byteOffset + 18, data.getUint16(16, le));
    places.push({ directory: data.getBigUint64(0, le), name: byteStringOf(name) });
  }
  return places.map(({ directory, name }) => (pathInSubvolume(fd, id, directory) + name) as ByteString);
}

// Ends in a slash unless it is empty: the top directory.
function pathInSubvolume(fd: number, tree: bigint, directory: bigint): ByteString {
  const args = new Uint8Array(4096);
  const view = new DataView(args.buffer);
  view.setBigUint64(0, tree, le);
  view.setBigUint64(8, directory, le);
  ioctl(fd, INO_LOOKUP, args, `find the directory ${directory}`);
  return byteStringOf(args.subarray(16, args.indexOf(0, 16)));
}

/** Runs `body` with a directory open; its path may be relative to the descriptor `base`. */
export async function withDirectory<T>(
  path: ByteString,
  body: (fd: number) => T | Promise<T>,
  base: number = AT_FDCWD,
): Promise<T> {
  const fd = openDirectoryAt(base, path);
  try {
    return await body(fd);
  } finally {
    closeFd(fd);
  }
}
