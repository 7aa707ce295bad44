/**
 * Containers as a program sees them that uses Lamina as a library. The schemas in `../specs` check the same shapes where
 * they come from outside; a test holds both together.
 */

import type { ContainerMount, MountRequest } from "./mount.ts";

/** What differs from the image's config for a container. */
export interface ContainerConfig {
  /** Replaces the image's, and its command. */
  entrypoint?: string[];
  /** Arguments of the entrypoint; replaces the image's. */
  command?: string[];
  /** `NAME=VALUE` lines, added to the image's. */
  env: string[];
  /** Absolute. */
  working_directory?: string;
  /** `user[:group]`, names or numbers. */
  user?: string;
  /** For the engine. */
  hostname?: string;
}

/** What a container is made from. */
export interface ContainerRequest {
  /** Reference, id or unique id prefix of an image. */
  image: string;
  /** Absent: a name is made up from the id. */
  name?: string;
  /** At most 1,000, each target once. */
  mounts?: MountRequest[];
  /** Targets that get an anonymous volume unless something else is mounted there, as the VOLUMEs of an image. */
  volumes?: string[];
  /** Containers whose volumes and binds are mounted here too, each `CONTAINER[:ro|rw]`. */
  volumes_from?: string[];
  /** The root is read-only; volumes keep their own mode. Default false. */
  read_only?: boolean;
  /** The container goes, with its anonymous volumes, when it is unmounted. Default false. */
  auto_remove?: boolean;
  /** At most 256. */
  labels?: Record<string, string>;
  /** `size` and `inodes`: limits of the RW layer, e.g. `10g`, `100k`; refused where the storage driver cannot enforce it. */
  storage_options?: Record<string, string>;
  /** Shown in `oci` and kept by commit. */
  config?: Partial<ContainerConfig>;
  /** Kept as it is for the engine that made the container; at most 1 MiB as JSON. */
  engine?: Record<string, unknown>;
}

/** Which containers a prune takes: all that are not mounted and fulfil every condition. */
export interface ContainerPruneRequest {
  /** `KEY` or `KEY=VALUE`; each must hold. */
  label?: string[];
  /** `KEY` or `KEY=VALUE`; none may hold. */
  not_label?: string[];
  /** Created before; ISO 8601. */
  until?: string;
  /** Their anonymous volumes go too, unless others have them. Default false. */
  volumes?: boolean;
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

/** One device of the OCI runtime spec. */
export interface RuntimeDevice {
  /** Where in the container. */
  path: string;
  /** `b` block, `c` character. */
  type: "b" | "c";
  /** Of the device number. */
  major: number;
  /** Of the device number. */
  minor: number;
  /** Permission bits. */
  fileMode: number;
  /** Of the node. */
  uid: number;
  /** Of the node. */
  gid: number;
}

/** One rule of the devices cgroup in the OCI runtime spec. */
export interface RuntimeDeviceRule {
  /** Always so. */
  allow: boolean;
  /** As in {@linkcode RuntimeDevice}. */
  type: "b" | "c";
  /** As in {@linkcode RuntimeDevice}. */
  major: number;
  /** As in {@linkcode RuntimeDevice}. */
  minor: number;
  /** `rwm`; `rm` for one that is read-only. */
  access: string;
}

/** Parts of an OCI runtime-spec config.json. The volumes are mounted in the root already. */
export interface RuntimeSpec {
  /** The root directory. */
  root: { path: string; readonly: boolean };
  /** The kernel's file systems, and volumes that those would cover. */
  mounts: RuntimeMount[];
  /** From the image's config. */
  process: { args: string[]; env: string[]; cwd: string; user: string };
  /** Raw devices, where it has some: as nodes, and as what the devices cgroup must let through besides the usual. */
  linux?: { devices: RuntimeDevice[]; resources: { devices: RuntimeDeviceRule[] } };
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
  /** As given. */
  volumes_from: string[];
  /** All that is mounted into its root, from the image and from other containers too. */
  mounts: ContainerMount[];
}

/** A container, whole. */
export interface Container extends ContainerSummary {
  /** For crun or runc. */
  oci: RuntimeSpec;
  /** As given. */
  config: ContainerConfig;
  /** As given. */
  engine: Record<string, unknown>;
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
  /** What `other` is. */
  special?: "fifo" | "socket" | "block" | "character";
  /** Bytes. */
  size_bytes: number;
  /** Permission bits. */
  mode: number;
  /** ISO 8601, UTC. */
  modified_at: string;
  /** Of a symbolic link. */
  link_target?: string;
}

/** What of a container can be changed. */
export interface UpdateRequest {
  /** `size`: the new limit of the RW layer, e.g. `20g`. */
  storage_options?: Record<string, string>;
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
