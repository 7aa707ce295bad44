/** Space for PersistentVolumes as a program sees it that uses Lamina as a library; see `container.ts` in this folder. */

/** What claims of one StorageClass can still get. */
export interface ClassCapacity {
  /** Its name. */
  storage_class: string;
  /** E.g. `lamina.dev/local`. */
  provisioner: string;
  /** Size of what its volumes are made on. Absent: nobody here can tell. */
  total_bytes?: number;
  /** Free, and promised to no other volume. */
  available_bytes?: number;
  /** Why nothing can be told. */
  error?: string;
}

/** What one PersistentVolume has and holds. */
export interface VolumeCapacity {
  /** Of the PersistentVolume. */
  name: string;
  /** `namespace/name` of the claim that has it. */
  claim?: string;
  /** Empty for none. */
  storage_class: string;
  /** `Available`, `Bound`, `Released` or `Failed`. */
  phase: string;
  /** What was promised. */
  capacity_bytes: number;
  /** What is in it. Absent: nobody here can tell. */
  used_bytes?: number;
}

/** Answer of `GET /v1/capacity`. */
export interface Capacity {
  /** By name. */
  classes: ClassCapacity[];
  /** By name. */
  volumes: VolumeCapacity[];
}
