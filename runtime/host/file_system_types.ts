/** Which file systems answer at once, and which may keep a caller waiting for a server or a disk. */

/** No server and no device behind them: mounting and unmounting these takes no more than memory. */
const memoryTypes = new Set(
  "overlay tmpfs ramfs proc sysfs devpts devtmpfs mqueue cgroup cgroup2 hugetlbfs debugfs tracefs securityfs bpf pstore"
    .split(" "),
);

/** On a disk of this machine. */
const diskTypes = new Set(
  "ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs squashfs erofs vfat exfat ntfs3 iso9660 udf aufs configfs binfmt_misc nsfs"
    .split(" "),
);

/** Whether a mount of this type is made at once, from this machine's memory. */
export function isMadeAtOnce(type: string): boolean {
  return memoryTypes.has(type) || type === "bind" || type === "rbind";
}

/** Whether paths on this type may hang when a server or a user program does not answer. */
export function mayHang(type: string): boolean {
  return !memoryTypes.has(type) && !diskTypes.has(type);
}
