/** Applied objects as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */
import type { Operation } from "../operation.ts";

/** What every stored object has. `metadata.uid`, `resourceVersion` and `creationTimestamp` are set by the store. */
export interface KubeObject {
  /** `v1`, `storage.k8s.io/v1`, … */
  readonly apiVersion: string;
  /** `Pod`, `ConfigMap`, … */
  readonly kind: string;
  /** Who it is. */
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    /** Counts every change of the root, as text. */
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
    /** Set by `delete`; the object goes when its last finalizer goes. */
    readonly deletionTimestamp?: string;
    /** Of a pod: seconds that `delete` gave it in place of its own grace period. 0: given up. */
    readonly deletionGracePeriodSeconds?: number;
    readonly finalizers?: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
    readonly [field: string]: unknown;
  };
  /** What is wanted. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** What is. */
  readonly status?: Readonly<Record<string, unknown>>;
  /** What the kind has besides: `data`, `provisioner`, … */
  readonly [field: string]: unknown;
}

/** An object changed; told after the commit. */
export interface ObjectChange {
  /** What happened. */
  readonly type: "added" | "modified" | "deleted";
  /** As it is now; a deleted one as it was. */
  readonly object: KubeObject;
}

/** A line of a watch: a change, or, once, that all objects which were there have been told. */
export type WatchLine = ObjectChange | { readonly type: "bookmark" };

/** What an apply has done. */
export interface ApplyResult {
  /** As kubectl says it. */
  readonly result: "created" | "configured" | "unchanged";
  /** As it is stored. */
  readonly object: KubeObject;
}

/** What happened to an object; a Kubernetes Event in few words. */
export interface ObjectEventRecord {
  /** About whom. */
  readonly involvedObject: {
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
  };
  /** Good or bad. */
  readonly type: "Normal" | "Warning";
  /** `FailedMount`, … */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** How often. */
  readonly count: number;
  /** ISO 8601, UTC. */
  readonly firstTimestamp: string;
  /** ISO 8601, UTC. */
  readonly lastTimestamp: string;
}

/** How an object is applied. */
export interface ApplyOptions {
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
}

/** Which objects are meant. */
export interface ObjectFilter {
  /** `Pod`, … */
  readonly kind?: string;
  /** Absent: all of them. */
  readonly namespace?: string;
  /** Absent: all of them. */
  readonly name?: string;
}

/** Objects of Kubernetes v1 that were applied. Controllers bring the node to what they say. */
export interface ObjectService {
  /**
   * Makes an object, or changes the one of its name: fields that are given are set, those that were given the last time
   * and are not any more go, those that others have set stay.
   *
   * @param object As in a manifest.
   * @throws `INVALID_ARGUMENT` naming each wrong field; `CONFLICT` (a field that cannot change, another uid or
   * resourceVersion than given, being deleted); then nothing has changed.
   */
  apply(object: unknown, options: ApplyOptions, operation: Operation): Promise<ApplyResult>;
  /** One object. @param namespace Empty for kinds that have none. @throws `NOT_FOUND` */
  get(kind: string, namespace: string, name: string): KubeObject;
  /** All of a kind, or of a kind in a namespace, by namespace and name. */
  list(kind: string, namespace?: string): KubeObject[];
  /**
   * Deletes an object. Where a controller has to take something down first, it is only marked, and goes later.
   *
   * @param options `grace_s`: seconds for whoever works in a pod's root, in place of the pod's own; said again, the
   * least counts. With 0 nobody is waited for: roots and what hangs are taken out of sight.
   * @returns `gone`: it is not there any more.
   * @throws `NOT_FOUND`
   */
  delete(
    kind: string,
    namespace: string,
    name: string,
    operation: Operation,
    options?: { readonly grace_s?: number },
  ): Promise<{ readonly object: KubeObject; readonly gone: boolean }>;
  /** The objects that fit, each as `added`, a `bookmark`, and then every change, until the signal aborts. */
  watch(filter: ObjectFilter & { readonly kind: string }, signal: AbortSignal): AsyncIterable<WatchLine>;
  /** What happened to objects lately; the last is the latest. */
  events(filter: ObjectFilter): ObjectEventRecord[];
}
