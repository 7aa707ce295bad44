/** Applied objects as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

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
