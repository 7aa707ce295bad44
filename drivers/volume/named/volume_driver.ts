/**
 * The port of a driver for named volumes: `local`, or a Docker volume plugin. The catalogue (`runtime/volume`) keeps
 * the names, labels, users and locks, and writes intents; a driver makes, mounts and deletes what is behind a name.
 *
 * Calls for one volume never overlap. Every verb is idempotent: what is there already, or gone already, is success.
 * Nothing about a volume is kept for the driver but its name and options: the disk, or the plugin, tells the rest.
 */
import type { Operation } from "../../../runtime/core/operation.ts";
import type { VolumeUsage } from "../port.ts";

/** A volume as its driver sees it. */
export interface NamedVolume {
  /** Safe as a file name. */
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
}

/** One kind of named volume. */
export interface VolumeDriver {
  /** `local`, or the plugin's name. */
  readonly name: string;
  /** `global`: every node that has the driver sees the same volumes. */
  readonly scope: "local" | "global";
  /**
   * Refuses options that can never work, without any effect and without waiting.
   *
   * @throws `INVALID_ARGUMENT`, `UNSUPPORTED`
   */
  check(volume: NamedVolume): void;
  /**
   * Makes the volume, durably.
   *
   * @throws `UNSUPPORTED` (names what was tried), `RESOURCE_EXHAUSTED`, `UNAVAILABLE`; {@linkcode undoCreate} follows.
   */
  create(volume: NamedVolume, operation: Operation): Promise<void>;
  /**
   * Takes back what `create` made, or what a crash left of it.
   *
   * @returns false: there is data in it, all is kept, and the volume is to be completed instead.
   */
  undoCreate(volume: NamedVolume, operation: Operation): Promise<boolean>;
  /**
   * Removes the volume and its data, durably. It is not mounted.
   *
   * @returns what frees its space, where that takes time: called after nobody can find the volume any more.
   */
  remove(volume: NamedVolume, operation: Operation): Promise<((operation: Operation) => Promise<void>) | undefined>;
  /** False: its data is at {@linkcode mountpoint} whenever it exists. Never waits. */
  needsMount(volume: NamedVolume): boolean;
  /** Host path of its data, or of where that will be. Empty: nobody knows before it is mounted. Never waits. */
  mountpoint(volume: NamedVolume): string;
  /** Whether it is mounted now, as the kernel or the plugin says. Never waits. */
  isMounted(volume: NamedVolume): boolean;
  /**
   * Makes its data appear. Mounted already is success.
   *
   * @returns host path of the data.
   * @throws `NOT_FOUND` (device), `DEADLINE_EXCEEDED` (a server does not answer), `INVALID_ARGUMENT`, `PERMISSION_DENIED`
   */
  mount(volume: NamedVolume, operation: Operation): Promise<string>;
  /**
   * Undoes `mount`; called only after one that succeeded, in this life of the daemon or an earlier one.
   *
   * @param options `force`: whoever had it has given it up: if nobody answers for it, out of sight is enough.
   */
  unmount(volume: NamedVolume, operation: Operation, options?: { readonly force?: boolean }): Promise<void>;
  /** What its data takes and may take; absent where the driver cannot tell. Mounts nothing. */
  usage?(volume: NamedVolume, operation: Operation): Promise<VolumeUsage>;
  /**
   * Volumes that the driver has, whoever made them; only drivers whose volumes others can make. Gives up within seconds.
   *
   * @throws `UNAVAILABLE`, `DEADLINE_EXCEEDED`
   */
  list?(operation: Operation): Promise<readonly FoundVolume[]>;
  /** One of them; `undefined`: there is none. Otherwise as {@linkcode list}. */
  get?(name: string, operation: Operation): Promise<FoundVolume | undefined>;
}

/** A volume that a driver tells of. */
export interface FoundVolume {
  readonly name: string;
  /** Host path; empty while it is not mounted. */
  readonly mountpoint: string;
  /** Facts for people. */
  readonly status?: Readonly<Record<string, unknown>>;
  /** ISO 8601. */
  readonly created_at?: string;
}
