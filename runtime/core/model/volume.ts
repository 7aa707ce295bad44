/** Volumes as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

/** What a volume is made from. */
export interface VolumeRequest {
  /** Absent: an anonymous volume with a random name. */
  name?: string;
  /** Default `local`. */
  driver?: string;
  /** Of the driver. */
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
  /** As given. */
  options: Record<string, string>;
  /** As given. */
  labels: Record<string, string>;
  /** Host path of its data. */
  mountpoint: string;
  /** Nobody named it. */
  anonymous: boolean;
  /** ISO 8601, UTC. */
  created_at: string;
  /** Names of the containers that use it. */
  used_by: string[];
}
