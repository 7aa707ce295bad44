/**
 * What the volume manager offers to those who have workloads: containers and pods.
 *
 * A wish is a fact, not a command: {@linkcode VolumeManager.desire} says what a workload needs, the reconciler makes it
 * so and keeps it so, {@linkcode VolumeManager.ready} waits for it. The desired world is not stored here: who has
 * workloads tells them again at each start, before {@linkcode VolumeManager.desiredIsComplete}.
 */
import type { VolumeSpec, Workload } from "../../../drivers/volume/port.ts";
import type { LaminaError } from "../../core/errors.ts";
import type { OperationStatus, VolumeStatus } from "../../core/model/workload.ts";
import type { Operation } from "../../core/operation.ts";

export type { OperationStatus, VolumeStatus } from "../../core/model/workload.ts";

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

/** A container's root that is mounted, and shall stay so. */
export interface KeptRoot {
  /** Of the container. */
  readonly id: string;
  readonly name: string;
  /** Absolute and canonical; where the root is mounted. */
  readonly path: string;
  /** Mounts that it has inside, besides itself. With fewer it is repaired. */
  readonly mounts: number;
  /** Mounts what is missing. Called when somebody has unmounted something; may find that all is well. */
  repair(operation: Operation): Promise<void>;
}

/** Roots of containers in the same reconciler. Neither call waits, commits or looks at anything. */
export interface KeptRoots {
  keepRoot(root: KeptRoot): void;
  /** To be called before it is unmounted. Not kept: nothing happens. */
  dropRoot(id: string): void;
}

/** How {@linkcode VolumeManager.ready} and {@linkcode VolumeManager.gone} wait. */
export interface WaitOptions {
  /** Do not wait for another try after one that failed. Default for `ready`: for all but pods; for `gone`: no. */
  readonly failFast?: boolean;
}

/** A volume of this node, whoever uses it. */
export interface DeviceUse {
  /** Those who want it. */
  readonly users: readonly Workload[];
  /** It is mounted or attached, or may be, or something is being done about it. */
  readonly isHere: boolean;
  /** Why it is not what it is to be, if that was tried. */
  readonly error?: LaminaError;
}

/** The manager. */
export interface VolumeManager extends KeptRoots {
  /** All workloads are known: what nobody wants is unmounted. */
  readonly isComplete: boolean;
  /** Puts a workload, or its new needs, in the desired world. Never waits. */
  desire(wanted: WantedWorkload): void;
  /**
   * Takes a workload out: its volumes are unmounted.
   *
   * @param options `force`: it is given up, so that what nobody answers for need only be out of sight. Also later, for
   * one that was released before and is not gone.
   */
  release(workloadUid: string, options?: { readonly force?: boolean }): void;
  /**
   * Waits until all volumes of the workload are usable.
   *
   * @returns host path by volume name.
   * @throws the last real error of what is missing, when the operation's signal aborts or a step fails for good.
   */
  ready(workloadUid: string, operation: Operation, options?: WaitOptions): Promise<ReadonlyMap<string, string>>;
  /** Waits until nothing of a released workload is left, devices that only it used included. @throws the last real error at the deadline. */
  gone(workloadUid: string, operation: Operation, options?: WaitOptions): Promise<void>;
  /** Whether a workload is in the desired world. */
  wants(workloadUid: string): boolean;
  /** Who uses what is behind a volume. Never waits. @param volumeId As `VolumePlugin.volumeId` gives it. */
  device(plugin: string, volumeId: string): DeviceUse;
  /** Tries at once to take down what nobody wants, and waits for it; wanted again: success. @throws what fails. */
  deviceGone(plugin: string, volumeId: string, operation: Operation): Promise<void>;
  /** Everybody has told their workloads: from now on what nobody wants is unmounted. */
  desiredIsComplete(): void;
  /** Some object changed: volumes made from it are set up again. */
  objectChanged(key: { readonly kind: string; readonly namespace: string; readonly name: string }): void;
  volumes(): VolumeStatus[];
  operations(): OperationStatus[];
  /** Prometheus metrics, with the kubelet's names where it has them. */
  metrics(): string;
}
