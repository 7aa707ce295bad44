/** Volumes as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

/** What a volume is made from. */
export interface VolumeRequest {
  /** Absent: an anonymous volume with a random name. */
  name?: string;
  /** Default `local`. */
  driver?: string;
  /** Of the driver; `local` has `type`, `o`, `device`, `size` (`10g`) and `inodes`. */
  options?: Record<string, string>;
  /** At most 256. */
  labels?: Record<string, string>;
}

/** A volume. */
export interface Volume {
  /** Unique on its root. */
  name: string;
  /** Who provides it. */
  driver: string;
  /** `global`: every machine with the driver has it. */
  scope: "local" | "global";
  /** As given; passwords masked. */
  options: Record<string, string>;
  /** As given. */
  labels: Record<string, string>;
  /** Host path of its data. Empty: only the driver knows, once it is mounted. */
  mountpoint: string;
  /** Its data can be looked at there now; always so where nothing has to be mounted. */
  usable: boolean;
  /** Nobody named it. */
  anonymous: boolean;
  /** ISO 8601, UTC. Absent: a volume that only its plugin knows, which does not tell. */
  created_at?: string;
  /** Names of the containers, plugin clients and pods that use it. */
  used_by: string[];
  /** What the plugin says about it, or `error`: why it does not. Only where plugins were asked. */
  status?: Record<string, unknown>;
}

/** Volumes, those included that only a plugin knows. */
export interface VolumeListing {
  /** By name. */
  volumes: Volume[];
  /** A sentence for each plugin that did not tell what it has. */
  warnings: string[];
}

/** Which volumes. All that is given must fit; of several values of one filter but `label` one must. */
export interface VolumeFilters {
  /** `true`: used by nobody. */
  dangling?: boolean;
  /** One of these drivers. */
  driver?: string[];
  /** `key` or `key=value`; all of them. */
  label?: string[];
  /** None of these. */
  not_label?: string[];
  /** Regular expressions. */
  name?: string[];
}

/** What a prune takes. Never volumes with driver options: they may stand for something elsewhere. */
export interface VolumePruneOptions {
  /** Also the volumes that somebody named. */
  all?: boolean;
  /** Only those; absent: all. */
  filters?: Pick<VolumeFilters, "label" | "not_label">;
}

/** Space of a volume. */
export interface VolumeSpace {
  /** What its files take. */
  used_bytes: number;
  /** What they may take; absent: no limit of its own. */
  capacity_bytes?: number;
  /** What they may still take. */
  available_bytes?: number;
  /** Files, directories and all else that has an inode. */
  inodes_used?: number;
}

/** A volume that has grown. */
export interface ResizedVolume extends Volume {
  /** Its file system takes the new size at its next mount only: this process may not grow it while it is mounted. */
  pending: boolean;
}

/** What a backup shows. */
export type VolumeConsistency =
  /** One instant: a snapshot was archived. */
  | "snapshot"
  /** Nothing else used the volume. */
  | "unused"
  /** Files were copied by sharing their blocks, one after the other within moments. */
  | "copy"
  /** The files were read one after the other while they were in use. */
  | "live";

/** A frozen state of a volume. */
export interface VolumeSnapshot {
  /** Name of the volume. */
  volume: string;
  /** Unique within its volume. */
  name: string;
  /** ISO 8601, UTC. */
  created_at: string;
  /** `shared`: its blocks are the volume's as long as neither changes; `copy`: it has its own. */
  method: "shared" | "copy";
}
