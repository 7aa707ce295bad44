/** A mount as a value. Drivers and plugins return these; only `runtime/host` performs them. */
export interface Mount {
  /** File system type (`overlay`, `tmpfs`, `ext4`, `nfs`, …) or `bind`. */
  readonly type: string;
  /** Device, directory (for `bind`) or label shown in the mount table. */
  readonly source: string;
  /** Absolute path of the mount point. Drivers leave it empty: the caller knows where. */
  readonly target: string;
  /** Options as in fstab, one per element (`ro`, `nosuid`, `lowerdir=/a:/b`, `rbind`, `rprivate`, …). */
  readonly options: readonly string[];
}

/** The same mount at another place. */
export function mountAt(mount: Mount, target: string): Mount {
  return { ...mount, target };
}

/** The same mount made read-only. */
export function readOnlyMount(mount: Mount): Mount {
  return { ...mount, options: [...mount.options.filter((o) => o !== "rw" && o !== "ro"), "ro"] };
}
