/**
 * The objects that people apply (Pod, ConfigMap, Secret, PersistentVolume, PersistentVolumeClaim, StorageClass,
 * VolumeSnapshot), as the controllers see them. Kinds and fields are Kubernetes v1's; the schemas are in
 * `runtime/core/specs/kube/`.
 */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import type { KubeObject, ObjectChange } from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";

export type { KubeObject, ObjectChange };

/** A Kubernetes Event: what happened to an object, for people. Equal ones (but for numbers) are counted, not repeated. */
export interface ObjectEvent {
  readonly about: ObjectKey & { readonly uid?: string };
  readonly type: "Normal" | "Warning";
  /** `FailedMount`, `SuccessfulMountVolume`, `ProvisioningFailed`, … as in Kubernetes. */
  readonly reason: string;
  readonly message: string;
}

/** Objects in the store. Reading never waits: all objects are in memory, checked against the store at start. */
export interface ObjectStore {
  get(key: ObjectKey): KubeObject | undefined;
  list(kind: string, namespace?: string): KubeObject[];
  /**
   * Changes status, finalizers or (`spec: true`) the spec for a controller. `change` gets the newest object and returns
   * the new one, or the same to change nothing; it must be pure, it may be called again.
   *
   * @returns the stored object; `undefined`: it is gone.
   */
  update(key: ObjectKey, change: (object: KubeObject) => KubeObject): Promise<KubeObject | undefined>;
  /** Makes an object for a controller (a PersistentVolume that was provisioned). @throws `ALREADY_EXISTS` */
  create(
    object: Omit<KubeObject, "metadata"> & { metadata: { name: string; namespace?: string } },
  ): Promise<KubeObject>;
  /** Deletes, or marks as being deleted while finalizers are left. Gone already: success. */
  delete(key: ObjectKey, operation: Operation): Promise<void>;
  /** Called after each commit, in order. @returns stops it. */
  watch(listener: (change: ObjectChange) => void): () => void;
  /** Notes an event; written in the background. */
  event(event: ObjectEvent): void;
}
