/** The runtime itself as a program sees it that uses Lamina as a library; see `container.ts` in this folder. */

/** Something that happened. */
export interface Event {
  /** Grows, also over restarts. */
  sequence: number;
  /** ISO 8601, UTC. */
  time: string;
  /** What it happened to. */
  kind: "image" | "container" | "volume" | "union" | "system";
  /** import, create, mount, unmount, commit, remove, tag, untag, ready, … */
  action: string;
  /** Of the object. */
  id: string;
  /** Of the object. */
  name?: string;
  /** More about it. */
  attributes: Record<string, string>;
}

/** What a runtime is and holds. */
export interface Info {
  /** Of Lamina. */
  version: string;
  /** Process that has the root open. */
  pid: number;
  /** Absolute path. */
  root: string;
  /** Name of the storage driver. */
  storage_driver: string;
  /** Its decisions, and why. */
  storage_status: Record<string, string>;
  /** `command` or `libc`. */
  mounter: string;
  /** How many. */
  images: number;
  /** How many. */
  layers: number;
  /** How many. */
  containers: number;
  /** How many of them. */
  mounted_containers: number;
  /** How many. */
  volumes: number;
  /** Names: `local`, and the volume plugins that are found now. */
  volume_drivers: string[];
  /** Release of the running kernel. */
  kernel: string;
  /** `amd64` or `arm64`. */
  architecture: string;
  /** `linux`. */
  os: string;
  /** In a user namespace, or not root. */
  rootless: boolean;
  /** ISO 8601, UTC. */
  started_at: string;
}

/** Who takes how much of the disk. */
export interface DiskUsage {
  /** Of the root directory. */
  filesystem: {
    total_bytes: number;
    used_bytes: number;
    available_bytes: number;
    inodes: number;
    inodes_available: number;
  };
  /** Each with what all of its layers take, and what only it takes. */
  images: { id: string; references: string[]; size_bytes: number; unique_bytes: number }[];
  /** All layers, each once. */
  layers_bytes: number;
  /** Each with its RW layer. */
  containers: {
    name: string;
    rw_bytes: number;
    rw_inodes: number;
    /** What it may take; absent: as much as there is. */
    limit_bytes?: number;
    limit_inodes?: number;
  }[];
  /** Each with how many containers use it. */
  volumes: { name: string; size_bytes: number; inodes: number; limit_bytes?: number; used_by: number }[];
  /** Images and volumes that nothing uses. */
  reclaimable_bytes: number;
}

/** Something that a check found. */
export interface CheckFinding {
  /** E.g. `orphan-directory`, `missing-mount`, `damaged-layer`. */
  kind: string;
  /** Path, device or object it is about. */
  object: string;
  /** What is wrong, in a sentence. */
  message: string;
  /** A repair can make it agree without touching user data. */
  repairable: boolean;
  /** It has done so. */
  repaired: boolean;
}

/** Result of a check. */
export interface CheckResult {
  /** Empty when all is well. */
  findings: CheckFinding[];
  /** How many of each kind were looked at. */
  checked: Record<string, number>;
}

/** One question that the host was asked. */
export interface DoctorItem {
  /** What the question is about. */
  subject: string;
  /** How good the answer is. */
  status: "ok" | "warning" | "missing";
  /** The answer. */
  found: string;
  /** What to do. */
  advice?: string;
}

/** Where a root is moved to. */
export interface MigrationRequest {
  /** The storage driver that gets the data. */
  to: "overlay" | "vfs" | "btrfs" | "zfs" | "devicemapper" | "aufs";
  /** `DRIVER.OPTION` of that driver; each later start needs them, too. */
  storage_options?: Record<string, string>;
}

/** What was moved. */
export interface MigrationResult {
  /** Storage driver before. */
  from: string;
  /** Storage driver now. */
  to: string;
  /** How many. */
  layers: number;
  /** How many. */
  containers: number;
  /** An earlier attempt had been interrupted. */
  resumed: boolean;
  /** What of the old data is left. */
  warning?: string;
}
