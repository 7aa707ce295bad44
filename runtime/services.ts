/**
 * What a Lamina runtime offers, as interfaces: the API's handlers and `mod.ts` see these, `runtime/runtime.ts` wires
 * the implementations. Every verb is idempotent where its name allows it, takes an {@linkcode Operation}, and throws
 * {@linkcode LaminaError} only.
 */
import type { Capacity } from "./core/model/capacity.ts";
import type { Operation } from "./core/operation.ts";
import type {
  CommitRequest,
  Container,
  ContainerChange,
  ContainerPruneRequest,
  ContainerRequest,
  ContainerSummary,
  PathStat,
  UpdateRequest,
} from "./core/model/container.ts";
import type {
  ExportCompression,
  ExportFormat,
  Image,
  ImageSummary,
  ImportResult,
  RemovalResult,
} from "./core/model/image.ts";
import type { ObjectService } from "./core/model/object.ts";
import type { OperationStatus, VolumeStatus } from "./core/model/workload.ts";
import type { Union, UnionRequest } from "./core/model/union.ts";
import type {
  ResizedVolume,
  Volume,
  VolumeConsistency,
  VolumeFilters,
  VolumeListing,
  VolumePruneOptions,
  VolumeRequest,
  VolumeSnapshot,
  VolumeSpace,
} from "./core/model/volume.ts";
import type {
  CheckResult,
  DiskUsage,
  DoctorItem,
  Event,
  Info,
  MigrationRequest,
  MigrationResult,
} from "./core/model/system.ts";

/** Bytes on their way in or out. */
export type ByteStream = ReadableStream<Uint8Array<ArrayBuffer>>;

/** Where an image comes from. */
export type ImportSource = { readonly path: string } | { readonly stream: ByteStream };

/** How an image is imported. */
export interface ImportOptions {
  /** Name for the image; needed for a rootfs tar, replaces the archive's own names otherwise. */
  readonly reference?: string;
  /** `os/arch[/variant]`; absent: this machine's. */
  readonly platform?: string;
  /** The archive is a rootfs tar whatever it looks like, and needs no name. */
  readonly rootfs?: {
    /** Lines of a Dockerfile for its config, as for a commit. */
    readonly changes?: readonly string[];
    /** For its history. */
    readonly message?: string;
  };
}

/** How an image is exported. */
export interface ExportOptions {
  /** OCI layout or `docker save` archive. */
  readonly format: ExportFormat;
  /** Of the layers. */
  readonly compression: ExportCompression;
}

/** Images. An image is named by reference, id, or unique id prefix of at least 4 digits. */
export interface ImageService {
  /**
   * Unpacks the layers that are not there yet, and names the images.
   *
   * @throws `INVALID_ARGUMENT` (malformed or hostile), `DATA_LOSS` (digests differ), `RESOURCE_EXHAUSTED`; nothing is left.
   */
  import(source: ImportSource, options: ImportOptions, operation: Operation): Promise<ImportResult>;
  /** All images. */
  list(): ImageSummary[];
  /** One image. @throws `NOT_FOUND` */
  inspect(image: string): Image;
  /** Gives the image one more reference; whatever had it before loses it. @throws `NOT_FOUND` */
  tag(image: string, reference: string, operation: Operation): Promise<void>;
  /** One tar archive of several images. The stream fails, it never ends short. */
  export(images: readonly string[], options: ExportOptions, operation: Operation): Promise<ByteStream>;
  /** Removes a reference and, with the last one, the image and the layers that nothing else needs. */
  remove(image: string, options: { readonly force: boolean }, operation: Operation): Promise<RemovalResult>;
  /** Images without a reference, or with `all` every image that no container uses; with `ids` only those of them. */
  prune(
    options: { readonly all: boolean; readonly ids?: readonly string[] },
    operation: Operation,
  ): Promise<RemovalResult>;
}

/** Containers. A container is named by name, id, or unique id prefix. */
export interface ContainerService {
  /**
   * Makes a container, and the volumes that it is the first to name, filled with what the image has at their targets.
   * With `mount` its root is mounted, too, in hardly more time than that takes; when it cannot be, nothing was created.
   *
   * @throws `NOT_FOUND` (image, bind source, container of `volumes_from`), `ALREADY_EXISTS` (name), `INVALID_ARGUMENT`,
   * `UNSUPPORTED` (size, driver, SELinux labels), `CONFLICT` (a volume has another driver or other options); then
   * nothing has changed.
   */
  create(spec: ContainerRequest, operation: Operation, options?: { readonly mount?: boolean }): Promise<Container>;
  /** Assembles the rootfs; mounted already is success. */
  mount(container: string, operation: Operation): Promise<Container>;
  /** Takes it apart; not mounted is success. With `auto_remove` the container goes too. */
  unmount(container: string, options: { readonly lazy: boolean }, operation: Operation): Promise<void>;
  /** All containers, oldest first. */
  list(): readonly ContainerSummary[];
  /** One container; with `size` its RW layer is measured. @throws `NOT_FOUND` */
  inspect(container: string, options: { readonly size: boolean }, operation: Operation): Promise<Container>;
  /**
   * Gives the RW layer another limit, mounted or not.
   *
   * @throws `NOT_FOUND`, `INVALID_ARGUMENT` (less than it takes already), `UNSUPPORTED` (the driver has no limits), `CONFLICT`
   * (some drivers shrink only what is not mounted); then nothing has changed.
   */
  update(container: string, changes: UpdateRequest, operation: Operation): Promise<Container>;
  /** What differs from the image, sorted by path. @throws `NOT_FOUND` */
  diff(container: string, operation: Operation): Promise<ContainerChange[]>;
  /** Makes an image of the container's image and its RW layer, mounted or not. Volumes are no part of it. */
  commit(container: string, options: CommitRequest, operation: Operation): Promise<Image>;
  /** The rootfs without its volumes, as one tar. */
  export(container: string, operation: Operation): Promise<ByteStream>;
  /**
   * What a path of the rootfs is, resolved inside it. A final link is followed only where the path ends in `/` or `/.`,
   * and then it must lead to a directory.
   */
  statPath(container: string, path: string, operation: Operation): Promise<PathStat>;
  /**
   * A file or directory of the rootfs as a tar whose top entry is its base name, or `as`; with `as: "."` the entries
   * are relative to the path. A final link is followed only where the path ends in `/` or `/.`.
   */
  copyOut(
    container: string,
    path: string,
    operation: Operation,
    options?: { readonly as?: string },
  ): Promise<ByteStream>;
  /**
   * Unpacks a tar below a directory of the rootfs, resolved inside it. With `keep_kinds` no directory is replaced by
   * something else and nothing else by a directory.
   *
   * @throws `CONFLICT` (a kind that is to be kept); what came before that entry stays.
   */
  copyIn(
    container: string,
    path: string,
    archive: ByteStream,
    operation: Operation,
    options?: { readonly keep_kinds?: boolean },
  ): Promise<void>;
  /**
   * Removes the container, with `volumes` also the anonymous volumes that only it has. Never deletes a named volume or a
   * host directory.
   *
   * @throws `CONFLICT` while it is mounted, unless `force`.
   */
  remove(
    container: string,
    options: { readonly force: boolean; readonly volumes: boolean },
    operation: Operation,
  ): Promise<RemovalResult>;
  /** Gives it another name, mounted or not. @throws `ALREADY_EXISTS` */
  rename(container: string, name: string, operation: Operation): Promise<Container>;
  /** Removes containers that are not mounted; named volumes and host directories stay. */
  prune(options: ContainerPruneRequest, operation: Operation): Promise<RemovalResult>;
}

/** An archive of a volume. */
export interface VolumeBackup {
  /** A tar, compressed as asked for. It fails, it never ends short. */
  readonly stream: ByteStream;
  /** Whether it shows one instant. */
  readonly consistency: VolumeConsistency;
  /** For people: what the archive cannot promise. */
  readonly warnings: readonly string[];
}

/** Volumes: storage with a life of its own. */
export interface VolumeService {
  /**
   * Makes a volume; one with the same name, driver and options is returned as it is.
   *
   * @throws `CONFLICT` (other driver or options), `NOT_FOUND` (driver), `INVALID_ARGUMENT` (option), `UNSUPPORTED` (a
   * size that nothing here can enforce; names all that was tried).
   */
  create(spec: VolumeRequest, operation: Operation): Promise<Volume>;
  /** Volumes by name. @throws `INVALID_ARGUMENT` (no regular expression) */
  list(filters?: VolumeFilters): Volume[];
  /** One volume. @throws `NOT_FOUND` */
  inspect(name: string): Volume;
  /**
   * The same with the volumes that only plugins know. All plugins are asked at once, each for seconds at most; one that
   * does not answer is a warning.
   *
   * @throws `INVALID_ARGUMENT` (no regular expression)
   */
  listWithPlugins(filters: VolumeFilters, operation: Operation): Promise<VolumeListing>;
  /** One volume with what its plugin says of it, also one that only a plugin knows. @throws `NOT_FOUND` */
  inspectWithPlugins(name: string, operation: Operation): Promise<Volume>;
  /** What its files take now, and may take. Mounts nothing. @throws `NOT_FOUND` */
  space(name: string, operation: Operation): Promise<VolumeSpace>;
  /**
   * Deletes a volume with its data.
   *
   * @param options `force`: a volume that does not exist is success; one in use stays, as without.
   * @throws `NOT_FOUND`; `CONFLICT` while anybody uses it, it has snapshots, or something is mounted in it.
   */
  remove(name: string, operation: Operation, options?: { readonly force?: boolean }): Promise<RemovalResult>;
  /** Unused anonymous volumes, or with `all` every unused one; none that has driver options. */
  prune(options: VolumePruneOptions, operation: Operation): Promise<RemovalResult>;
  /** Gives a volume that nobody uses another name. @throws `NOT_FOUND`, `ALREADY_EXISTS`, `CONFLICT`, `UNSUPPORTED` */
  rename(name: string, newName: string, operation: Operation): Promise<Volume>;
  /**
   * Raises the limit of a volume that has one, while it is used.
   *
   * @returns `pending`: it takes its new size at its next mount only.
   * @throws `INVALID_ARGUMENT` (it never shrinks), `UNSUPPORTED` (made without a size), `RESOURCE_EXHAUSTED`.
   */
  resize(name: string, size_bytes: number, operation: Operation): Promise<ResizedVolume>;
  /**
   * Makes a volume usable for a client of its own, besides containers, until {@linkcode unmount}; also over a restart.
   * Again for the same client is success.
   *
   * @returns host path of the data.
   */
  mount(name: string, client: string, operation: Operation): Promise<string>;
  /** The client does not use it any more; did not is success. @throws `NOT_FOUND` */
  unmount(name: string, client: string, operation: Operation): Promise<void>;
  /** The volume as an archive: of one instant where its file system can do that, otherwise with a warning. */
  backup(
    name: string,
    options: { readonly compression: "none" | "gzip" | "zstd" },
    operation: Operation,
  ): Promise<VolumeBackup>;
  /**
   * Replaces what a volume holds, in one step; makes the volume where there is none.
   *
   * @param archive A tar, also gzip or zstd.
   * @param options `force`: also where the volume is not empty, or containers that are not mounted use it.
   * @throws `INVALID_ARGUMENT` (truncated, malformed, hostile), `CONFLICT` (in use, not empty), `RESOURCE_EXHAUSTED`;
   * then nothing has changed.
   */
  restore(
    name: string,
    archive: ByteStream,
    options: { readonly force: boolean },
    operation: Operation,
  ): Promise<Volume>;
  /**
   * Freezes what a volume holds now.
   *
   * @param options `name`: default the time; `copy`: copy all files where blocks cannot be shared.
   * @throws `ALREADY_EXISTS`, `UNSUPPORTED` (blocks cannot be shared, and not `copy`).
   */
  snapshot(
    name: string,
    options: { readonly name?: string; readonly copy: boolean },
    operation: Operation,
  ): Promise<VolumeSnapshot>;
  /** Snapshots of a volume, oldest first. @throws `NOT_FOUND` */
  snapshots(name: string): VolumeSnapshot[];
  /** Deletes a snapshot. @throws `NOT_FOUND` */
  removeSnapshot(name: string, snapshot: string, operation: Operation): Promise<void>;
  /** A new volume with the same options that begins as a volume, or a snapshot of it, is. @throws as {@linkcode snapshot} */
  clone(
    name: string,
    to: { readonly name: string; readonly snapshot?: string; readonly labels?: Record<string, string> },
    options: { readonly copy: boolean },
    operation: Operation,
  ): Promise<Volume>;
}

/** Branch unions: several directories shown as one. */
export interface UnionService {
  /**
   * Mounts a union; the same branches at the same target again is success, and mounts what is not mounted any more.
   *
   * @throws `NOT_FOUND` (a directory), `INVALID_ARGUMENT` (named twice, within each other), `CONFLICT` (target taken,
   * not empty, other branches), `UNSUPPORTED` (nothing installed that can unite these; names the packages).
   */
  mount(request: UnionRequest, operation: Operation): Promise<Union>;
  /** All unions, by target. */
  list(): Union[];
  /** Takes one away, by id or target. @throws `NOT_FOUND`; `CONFLICT` while it is in use, unless `lazy`. */
  unmount(union: string, options: { readonly lazy: boolean }, operation: Operation): Promise<void>;
}

/** Claims, and the volumes that are made for them. */
export interface ClaimService {
  /** What claims of each StorageClass can still get, and what each PersistentVolume holds. Measured now. */
  capacity(operation: Operation): Promise<Capacity>;
}

/** What the volume manager does. */
export interface OperationService {
  /** Steps that run or wait for their next try. */
  list(): OperationStatus[];
  /** Every volume that a workload wants or has. */
  volumesInUse(): VolumeStatus[];
  /** Prometheus' text format; the kubelet's names where it has them. */
  metrics(): string;
}

/** The daemon and its root. */
export interface SystemService {
  /** What the runtime is and holds. Reads no files of the root. */
  info(): Info;
  /** Who takes how much. RW layers and volumes are measured now. */
  diskUsage(operation: Operation): Promise<DiskUsage>;
  /**
   * Compares database, disk and mount table; with `repair` makes them agree without touching user data; with `deep`
   * hashes every layer anew.
   */
  check(options: { readonly repair: boolean; readonly deep: boolean }, operation: Operation): Promise<CheckResult>;
  /** Frees what removed objects left behind. */
  collectGarbage(operation: Operation): Promise<RemovalResult>;
  /** Events after `since` (a sequence number), then as they come, until the signal aborts. */
  events(options: { readonly since?: number }, signal: AbortSignal): AsyncIterable<Event>;
  /**
   * Moves all images and containers to another storage driver; goes on with an attempt that was interrupted. Nothing
   * else runs meanwhile. The old data is deleted after all of the new is verified.
   *
   * @throws `CONFLICT` (mounted containers, another migration), `UNSUPPORTED` (driver, limits), `RESOURCE_EXHAUSTED`,
   * `DATA_LOSS`; then the root works on with the old driver.
   */
  migrate(request: MigrationRequest, operation: Operation): Promise<MigrationResult>;
  /** Gives up an interrupted migration and deletes its copies. False: there was none. */
  abandonMigration(operation: Operation): Promise<boolean>;
  /** What the host has, what it lacks, and what to do. */
  doctor(operation: Operation): Promise<DoctorItem[]>;
}

/** A runtime on one root. Disposing it finishes or rolls back what runs and releases the root's lock. */
export interface LaminaRuntime extends AsyncDisposable {
  /** Images. */
  readonly images: ImageService;
  /** Containers. */
  readonly containers: ContainerService;
  /** Volumes. */
  readonly volumes: VolumeService;
  /** Branch unions. */
  readonly unions: UnionService;
  /** Applied objects. */
  readonly objects: ObjectService;
  /** Space of applied claims and volumes. */
  readonly claims: ClaimService;
  /** The volume manager's work. */
  readonly operations: OperationService;
  /** The root itself. */
  readonly system: SystemService;
}
