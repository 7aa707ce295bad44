/**
 * What the volume manager offers to those who have workloads: containers and pods.
 *
 * A wish is a fact, not a command: {@linkcode VolumeManager.desire} says what a workload needs, the reconciler makes it
 * so and keeps it so, {@linkcode VolumeManager.ready} waits for it. The desired world is not stored here: who has
 * workloads tells them again at each start, before {@linkcode VolumeManager.desiredIsComplete}.
 */
import type { VolumeSpec, Workload } from "../../../drivers/volume/port.ts";
import type { Operation } from "../../core/operation.ts";

/** One volume that a workload needs. */
export interface WantedVolume {
  readonly spec: VolumeSpec;
  /** Files get this group (Kubernetes `fsGroup`). */
  readonly fsGroup?: number;
  readonly fsGroupChangePolicy?: "Always" | "OnRootMismatch";
}

/** A workload and all that it needs. */
export interface WantedWorkload {
  readonly workload: Workload;
  readonly volumes: readonly WantedVolume[];
  /** What cannot be wanted yet, by name of the volume, and why (a claim that is not bound): waiters get this error. */
  readonly unresolved?: ReadonlyMap<string, string>;
}

/** State of one volume of one workload. */
export interface VolumeStatus {
  readonly workload: { readonly kind: "pod" | "container"; readonly uid: string; readonly name: string };
  readonly volume: string;
  readonly plugin: string;
  readonly state: "NotMounted" | "Mounted" | "Uncertain";
  /** Where its files are when it is mounted. */
  readonly path: string;
  /** Real last error of the step that is being retried. */
  readonly last_error?: string;
}

/** A step that runs or waits for its next try. `lamina get operations`. */
export interface OperationStatus {
  readonly key: string;
  /** `attach`, `mount_device`, `volume_mount`, `volume_unmount`, `unmount_device`, `detach`, `expand`. */
  readonly name: string;
  readonly plugin: string;
  readonly state: "running" | "backoff";
  readonly attempts: number;
  /** ISO 8601. */
  readonly since: string;
  /** ISO 8601; of the next try. */
  readonly next_at?: string;
  readonly last_error?: string;
}

/** The manager. */
export interface VolumeManager {
  /** Puts a workload, or its new needs, in the desired world. Never waits. */
  desire(wanted: WantedWorkload): void;
  /** Takes a workload out: its volumes are unmounted. */
  release(workloadUid: string): void;
  /**
   * Waits until all volumes of the workload are usable.
   *
   * @returns host path by volume name.
   * @throws the last real error of what is missing, when the operation's signal aborts or a step fails for good.
   */
  ready(workloadUid: string, operation: Operation): Promise<ReadonlyMap<string, string>>;
  /** Waits until nothing of a released workload is left. @throws the last real error at the deadline. */
  gone(workloadUid: string, operation: Operation): Promise<void>;
  /** Everybody has told their workloads: from now on what nobody wants is unmounted. */
  desiredIsComplete(): void;
  /** Some object changed: volumes made from it are set up again. */
  objectChanged(key: { readonly kind: string; readonly namespace: string; readonly name: string }): void;
  volumes(): VolumeStatus[];
  operations(): OperationStatus[];
}
