/** Volumes of workloads as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

/** State of one volume of one workload. */
export interface VolumeStatus {
  /** Who wants it, or had it. */
  readonly workload: {
    /** `client`: a client of the volume plugin, or an operation such as a backup. */
    readonly kind: "pod" | "container" | "client";
    /** Of the pod, or id of the container. */
    readonly uid: string;
    /** `namespace/name` of a pod, name of a container, words about a client. */
    readonly name: string;
  };
  /** Its name in the workload. */
  readonly volume: string;
  /** `kubernetes.io/empty-dir`, … */
  readonly plugin: string;
  /** `Uncertain`: something may be there, but it cannot be used yet, or not any more. */
  readonly state: "NotMounted" | "Mounted" | "Uncertain";
  /** Where its files are when it is mounted. */
  readonly path: string;
  /** Last error of the step that is being retried. */
  readonly last_error?: string;
}

/** A step that runs or waits for its next try. */
export interface OperationStatus {
  /** Of the volume in its workload (`UID/NAME`), of the device (`PLUGIN VOLUME-ID`), or of the container. */
  readonly key: string;
  /**
   * `attach`, `mount_device`, `volume_mount`, `volume_unmount`, `unmount_device`, `detach`, `expand`; `root_mount` for a
   * container's root that has lost a mount.
   */
  readonly name: string;
  /** `kubernetes.io/empty-dir`, … */
  readonly plugin: string;
  /** Whether it runs now. */
  readonly state: "running" | "backoff";
  /** Tries since the last success, this one included. */
  readonly attempts: number;
  /** ISO 8601; of this try, or of the first failure. */
  readonly since: string;
  /** ISO 8601; of the next try. */
  readonly next_at?: string;
  /** Of the last try. */
  readonly last_error?: string;
}
