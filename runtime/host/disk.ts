/** How full a file system is, and of which kind. */
import { byteStringFromText } from "../core/bytes.ts";
import { hostError } from "./errno_errors.ts";
import { cFunctions, checked, cString } from "./libc.ts";

const kernel = cFunctions({
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
});

/** A file system as `statfs(2)` tells it. */
export interface FileSystemStatus {
  /** E.g. `ext4`, `xfs`, `btrfs`, `tmpfs`, `overlay`, or `0x…` for one without a name here. ext2 and ext3 say `ext4`. */
  readonly type: string;
  readonly total_bytes: number;
  /** Total minus free, the reserve for root included. */
  readonly used_bytes: number;
  /** What an ordinary user may still write. */
  readonly available_bytes: number;
  /** 0 where inodes are made as needed (btrfs). */
  readonly totalInodes: number;
  readonly freeInodes: number;
  /** `ST_…` bits of the mount: 1 ro, 2 nosuid, 4 nodev, 8 noexec, 1024 noatime, 2048 nodiratime, 4096 relatime. */
  readonly flags: number;
}

const typeNames = new Map<number, string>([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0x794c7630, "overlay"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
  [0xca451a4e, "bcachefs"],
  [0x6969, "nfs"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x65735546, "fuse"],
  [0x61756673, "aufs"],
  [0x73717368, "squashfs"],
  [0xe0f5e1e2, "erofs"],
  [0x4d44, "vfat"],
  [0x2011bab0, "exfat"],
  [0x9fa0, "proc"],
  [0x62656572, "sysfs"],
  [0x00c36400, "ceph"],
  [0x01021997, "9p"],
  [0x6a656a63, "virtiofs"],
  [0x3153464a, "jfs"],
  [0xf15f, "ecryptfs"],
]);

/**
 * The file system that `path` is on.
 *
 * @throws `NOT_FOUND`, `PERMISSION_DENIED`, `UNAVAILABLE` (its server is gone).
 */
export function fileSystemStatus(path: string): FileSystemStatus {
  // struct statfs of the 64-bit architectures: eleven words (type, bsize, blocks, bfree, bavail, files, ffree, fsid,
  // namelen, frsize, flags) and room for four.
  const words = new BigUint64Array(15);
  try {
    checked(kernel.statfs(cString(byteStringFromText(path)), new Uint8Array(words.buffer)), "statfs", path);
  } catch (error) {
    throw hostError(error, `Cannot read the state of the file system of ${path}`, { path });
  }
  const [type, blockSize, blocks, free, available, inodes, freeInodes, , , fragmentSize, flags] = [...words].map(
    Number,
  ) as [number, number, number, number, number, number, number, number, number, number, number];
  const unit_bytes = fragmentSize || blockSize;
  return {
    type: typeNames.get(type) ?? `0x${type.toString(16)}`,
    total_bytes: blocks * unit_bytes,
    used_bytes: (blocks - free) * unit_bytes,
    available_bytes: available * unit_bytes,
    totalInodes: inodes,
    freeInodes,
    flags,
  };
}
