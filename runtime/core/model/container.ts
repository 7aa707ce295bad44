/**
 * Containers as a program sees them that uses Lamina as a library. The schemas in `../specs` check the same shapes where
 * they come from outside; a test holds both together.
 */

/** A host directory, file or socket, mounted recursively and privately. */
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
}

/** A named volume; made on first use. */
export interface VolumeMount {
  /** Which kind of mount this is. */
  type: "volume";
  /** Name of the volume. */
  source: string;
  /** Absolute path in the container, resolved inside its root. */
  target: string;
  /** Nothing is written through it. */
  read_only: boolean;
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
  /** Nothing is written into it. */
  read_only: boolean;
}

/** What is mounted into a container's root. */
export type ContainerMount = BindMount | VolumeMount | TmpfsMount;

/** `T` with some fields that may be left out. */
export type Optional<T, K extends keyof T> = Omit<T, K> & Partial<Pick<T, K>>;

/** A mount as it is asked for: `read_only` and `create_source` default to false, `mode` to 0o1777. */
export type MountRequest =
  | Optional<BindMount, "read_only" | "create_source">
  | Optional<VolumeMount, "read_only">
  | Optional<TmpfsMount, "read_only" | "mode">;

/** What a container is made from. */
export interface ContainerRequest {
  /** Reference, id or unique id prefix of an image. */
  image: string;
  /** Absent: a name is made up from the id. */
  name?: string;
  /** At most 1,000, each target once. */
  mounts?: MountRequest[];
  /** The root is read-only; volumes keep their own mode. Default false. */
  read_only?: boolean;
  /** The container goes, with its anonymous volumes, when it is unmounted. Default false. */
  auto_remove?: boolean;
  /** At most 256. */
  labels?: Record<string, string>;
  /** `size` and `inodes`: limits of the RW layer, e.g. `10g`, `100k`; refused where the storage driver cannot enforce it. */
  storage_options?: Record<string, string>;
}

/** One mount of the OCI runtime spec. */
export interface RuntimeMount {
  /** Where in the container. */
  destination: string;
  /** File system type, or `bind`. */
  type: string;
  /** Device, label or host path. */
  source: string;
  /** As in fstab. */
  options: string[];
}

/** Parts of an OCI runtime-spec config.json. The volumes are mounted in the root already. */
export interface RuntimeSpec {
  /** The root directory. */
  root: { path: string; readonly: boolean };
  /** The kernel's file systems, and volumes that those would cover. */
  mounts: RuntimeMount[];
  /** From the image's config. */
  process: { args: string[]; env: string[]; cwd: string; user: string };
}

/** A container in a list. */
export interface ContainerSummary {
  /** 64 hexadecimal digits. */
  id: string;
  /** Unique on its root. */
  name: string;
  /** What the creator called the image. */
  image: string;
  /** Digest of the image's config. */
  image_id: string;
  /** ISO 8601, UTC. */
  created_at: string;
  /** Whether the root is mounted now, as the kernel says. */
  mounted: boolean;
  /** Host path where the root is or will be mounted. */
  rootfs: string;
  /** The root is read-only. */
  read_only: boolean;
  /** It goes when it is unmounted. */
  auto_remove: boolean;
  /** As given. */
  labels: Record<string, string>;
  /** As given. */
  storage_options: Record<string, string>;
  /** Name of the storage driver that holds its RW layer. */
  storage_driver: string;
  /** What is mounted into its root. */
  mounts: ContainerMount[];
}

/** A container, whole. */
export interface Container extends ContainerSummary {
  /** For crun or runc. */
  oci: RuntimeSpec;
  /** Bytes on disk and inodes of the RW layer, when asked for. */
  size?: { rw_bytes: number; rw_inodes: number };
}

/** A path that differs from the image: `A` added, `C` changed, `D` deleted. */
export interface ContainerChange {
  /** What became of it. */
  kind: "A" | "C" | "D";
  /** Absolute inside the root. */
  path: string;
}

/** What a path inside a container is. */
export interface PathStat {
  /** Base name. */
  name: string;
  /** Devices, FIFOs and sockets are `other`. */
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size_bytes: number;
  /** Permission bits. */
  mode: number;
  /** ISO 8601, UTC. */
  modified_at: string;
  /** Of a symbolic link. */
  link_target?: string;
}

/** How a container becomes an image. */
export interface CommitRequest {
  /** `name:tag` of the new image. */
  reference?: string;
  /** For its history. */
  author?: string;
  /** For its history. */
  message?: string;
  /** CMD, ENTRYPOINT, ENV, LABEL, USER, WORKDIR, VOLUME, EXPOSE lines as in a Dockerfile. */
  changes?: string[];
}
