/** What is mounted into containers, as a program sees it that uses Lamina as a library; see `container.ts` here. */

/** Who asked for a mount: the request itself, the image's VOLUME, or a container named in `volumes_from`. */
export type MountOrigin = "request" | "image" | "volumes_from";

/** Whether mounts that come later travel between host and container; `r`: also those below. */
export type MountPropagation = "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";

/** A host directory, file or socket. */
export interface BindMount {
  /** Which kind of mount this is. */
  type: "bind";
  /** Absolute path on the host. */
  source: string;
  /** Absolute path in the container, resolved inside its root. */
  target: string;
  /** Nothing is written through it. */
  read_only: boolean;
  /** A missing source directory is made (0755) when the container is mounted. */
  create_source: boolean;
  /** Default `rprivate`. */
  propagation: MountPropagation;
  /**
   * Mounts below the source: `enabled` shows them, and `read_only` covers them where the kernel can; `readonly` insists
   * on that; `writable` leaves them as they are; `disabled` leaves them out.
   */
  recursive: "enabled" | "disabled" | "writable" | "readonly";
  /** Relative path beneath the source that is shown instead; it must exist, and no link may lead out. */
  subpath?: string;
  /**
   * The source is a device node, and shall be one in the container: a runtime is told of it in `linux.devices`, and
   * nothing of it is in what the container has written. `read_only` then says what the runtime may allow; a device that
   * nobody may write to must be so itself.
   */
  device?: boolean;
  /** SELinux label asked for; refused where SELinux is enabled. */
  relabel?: "z" | "Z";
  /** Who asked for it. */
  from: MountOrigin;
}

/** A volume. */
export interface VolumeMount {
  /** Which kind of mount this is. */
  type: "volume";
  /** Name of the volume. */
  source: string;
  /** Absolute path in the container, resolved inside its root. */
  target: string;
  /** Nothing is written through it. */
  read_only: boolean;
  /** Relative path of the directory or file of the volume that is shown. */
  subpath?: string;
  /** An empty volume was not to be filled with what the image has at the target. */
  no_copy: boolean;
  /** SELinux label asked for; refused where SELinux is enabled. */
  relabel?: "z" | "Z";
  /** Its name was made up; it goes with the container where that is asked for. */
  anonymous: boolean;
  /** Who asked for it. */
  from: MountOrigin;
}

/** Memory that vanishes with the mount. */
export interface TmpfsMount {
  /** Which kind of mount this is. */
  type: "tmpfs";
  /** Absolute path in the container, resolved inside its root. */
  target: string;
  /** Limit in bytes; absent: half of the memory. */
  size_bytes?: number;
  /** Permission bits of its top directory. */
  mode: number;
  /** `exec`, `suid`, `dev`, `noatime`, `uid=`, `gid=`, `nr_inodes=`, …; `noexec,nosuid,nodev` hold unless named. */
  options: string[];
  /** Nothing is written into it. */
  read_only: boolean;
  /** Who asked for it. */
  from: MountOrigin;
}

/** The files of another image, read-only. */
export interface ImageMount {
  /** Which kind of mount this is. */
  type: "image";
  /** What the creator called the image. */
  source: string;
  /** Digest of the image's config. */
  image_id: string;
  /** Absolute path in the container, resolved inside its root. */
  target: string;
  /** Relative path of the directory or file of the image that is shown. */
  subpath?: string;
  /** Who asked for it. */
  from: MountOrigin;
}

/** What is mounted into a container's root. */
export type ContainerMount = BindMount | VolumeMount | TmpfsMount | ImageMount;

/** `T` with some fields that may be left out. */
export type Optional<T, K extends keyof T> = Omit<T, K> & Partial<Pick<T, K>>;

/** Of a volume that a mount makes. One that exists must have this driver and, where some are given, these options. */
export interface NewVolume {
  /** Default `local`. */
  driver?: string;
  /** Of the driver. */
  options?: Record<string, string>;
  /** At most 256. */
  labels?: Record<string, string>;
}

/** A mount as it is asked for: switches default to false, `mode` to 0o1777. A volume without `source` is anonymous. */
export type MountRequest =
  | Optional<Omit<BindMount, "from">, "read_only" | "create_source" | "propagation" | "recursive">
  | Optional<Omit<VolumeMount, "from" | "anonymous">, "source" | "read_only" | "no_copy"> & { volume?: NewVolume }
  | Optional<Omit<TmpfsMount, "from">, "read_only" | "mode" | "options">
  | Omit<ImageMount, "from" | "image_id">;
