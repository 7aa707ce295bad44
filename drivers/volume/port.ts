/**
 * The volume plugin port: how one kind of volume becomes usable on this node, and stops being so.
 *
 * Up: `attach` (node), `mountDevice` (once a node and volume), `setUp` (once a workload). Down in reverse. A plugin
 * implements the steps it has; the executor of `runtime/volume/manager` calls them in order, one operation a key, each
 * with a deadline, each written to the journal before. Every step is idempotent: called again after success it finds
 * its work done; called again after a crash in its middle it finishes it. Downward steps take only identities, no spec,
 * because after a restart the spec may be gone; what is not there is success.
 *
 * Error classes: {@linkcode failureClass}.
 */
import type { LaminaError } from "../../runtime/core/errors.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";

/** `ReadWriteOnce`, … as in Kubernetes v1. */
export type AccessMode = "ReadWriteOnce" | "ReadOnlyMany" | "ReadWriteMany" | "ReadWriteOncePod";

/** A volume as a plugin is asked for it: from a pod's `volumes`, from a PersistentVolume, or a named volume. */
export interface VolumeSpec {
  /** Name inside its workload (`cache-volume`), or of the named volume. Safe as a file name. */
  readonly name: string;
  /**
   * Exactly one key, the source's name as in Kubernetes (`emptyDir`, `hostPath`, `configMap`, `nfs`, `csi`, …) or
   * `namedVolume` for a volume of the catalogue; its value holds the checked fields.
   */
  readonly source: Readonly<Record<string, unknown>>;
  /** Nobody may write through this use of the volume. */
  readonly read_only: boolean;
  /** Of the PersistentVolume or its class. Empty where the plugin has no capability `mountOptions`. */
  readonly mount_options: readonly string[];
  readonly access_modes: readonly AccessMode[];
  readonly volume_mode: "Filesystem" | "Block";
  /** Where it comes from a PersistentVolume. */
  readonly persistent_volume?: {
    readonly name: string;
    readonly uid: string;
    readonly capacity_bytes: number;
  };
}

/** What wants storage. */
export interface Workload {
  /** `client`: somebody who has volumes without being either, e.g. a client of the volume plugin, or a backup. */
  readonly kind: "pod" | "container" | "client";
  /** Of the pod, or id of the container. */
  readonly uid: string;
  /** `namespace/name` of the pod, name of the container; for messages. */
  readonly name: string;
  /** Empty for all but pods. */
  readonly namespace: string;
  /** The pod as it was applied (Kubernetes v1 JSON); absent for all others. Read by downwardAPI. */
  readonly pod?: Readonly<Record<string, unknown>>;
}

/** Names an object that a volume is made from. */
export interface ObjectKey {
  readonly kind: string;
  /** Empty for objects of the cluster. */
  readonly namespace: string;
  readonly name: string;
}

/** Reads objects; never waits. */
export interface ObjectLookup {
  /** `undefined`: there is none. */
  get(key: ObjectKey): Readonly<Record<string, unknown>> | undefined;
}

/** What a plugin can do. */
export interface VolumeCapabilities {
  /** `mount_options` are honoured; a spec with some is refused otherwise. */
  readonly mountOptions: boolean;
  /** `volume_mode: Block` is possible. */
  readonly block: boolean;
  /** Ownership by `fsGroup` is applied to it by the manager after `setUp`. */
  readonly fsGroup: boolean;
  readonly accessModes: readonly AccessMode[];
}

/** `setUp` is asked this. */
export interface SetUpRequest {
  readonly spec: VolumeSpec;
  readonly workload: Workload;
  /** Absolute; where the volume's files shall be. Its parent exists. For `Block`: where the device node or link goes. */
  readonly path: string;
  /** Where `mountDevice` has mounted it. */
  readonly deviceMountPath?: string;
  /** What `attach` gave. */
  readonly devicePath?: string;
  readonly fsGroup?: number;
  readonly objects: ObjectLookup;
}

/** `tearDown` is asked this. */
export interface TearDownRequest {
  /** {@linkcode VolumeSpec.name} */
  readonly name: string;
  readonly workloadUid: string;
  readonly path: string;
}

/** Brings a volume's device to this node. Only plugins with an attachable device. */
export interface Attacher {
  /** @returns the device (`/dev/…`) or another address of it; empty where there is none. */
  attach(spec: VolumeSpec, operation: Operation): Promise<string>;
  /** @param volumeId As {@linkcode VolumePlugin.volumeId} gave it. */
  detach(volumeId: string, devicePath: string, operation: Operation): Promise<void>;
}

/** Mounts a volume once for all of its workloads. */
export interface DeviceMounter {
  /** `path` exists and is an empty directory, or carries the mount already. */
  mountDevice(
    request: { readonly spec: VolumeSpec; readonly path: string; readonly devicePath?: string },
    operation: Operation,
  ): Promise<void>;
  /** @param request `force`: its workload was given up, so that out of sight is enough if nobody answers for it. */
  unmountDevice(
    request: { readonly volumeId: string; readonly path: string; readonly force?: boolean },
    operation: Operation,
  ): Promise<void>;
  /**
   * For volumes that have a place of their own: where that is; empty as long as only {@linkcode mountDevice} can tell.
   * Workloads use such a volume there, without a mount of their own: neither `setUp` nor `tearDown` is called, and the
   * place is the plugin's to make and to remove. Never waits.
   */
  placeOf?(volumeId: string): string;
}

/** One kind of volume. */
export interface VolumePlugin {
  /** `kubernetes.io/empty-dir`, `lamina.dev/named-volume`, …: key of metrics and directories. */
  readonly name: string;
  readonly capabilities: VolumeCapabilities;
  /** Exactly one plugin of the registry answers true. */
  supports(spec: VolumeSpec): boolean;
  /**
   * Names the thing behind the spec on this node, stable over restarts: workloads whose specs give the same id share
   * its attachment and device mount. A volume that belongs to its workload (emptyDir) has the workload in it.
   */
  volumeId(spec: VolumeSpec, workload: Workload): string;
  readonly attacher?: Attacher;
  readonly deviceMounter?: DeviceMounter;
  /**
   * Makes the volume's files appear at `path`.
   *
   * @returns what is to be mounted there, in order, where it is by mounting: the caller mounts it in one batch with
   * others. Nothing: the plugin has done all itself.
   */
  setUp(request: SetUpRequest, operation: Operation): Promise<readonly Mount[] | void>;
  /**
   * Takes away what `setUp` made at `path`, `path` included; mounts on it were unmounted before. User data outside is
   * never touched; nothing is deleted across a mount point.
   */
  tearDown(request: TearDownRequest, operation: Operation): Promise<void>;
  /** Objects whose change calls for another `setUp` while the workload runs (configMap, secret, projected, …). */
  references?(spec: VolumeSpec, workload: Workload): readonly ObjectKey[];
  /** Space that the volume at `path` takes and has; only where it is its own (not of the whole disk). */
  usage?(path: string, operation: Operation): Promise<VolumeUsage>;
  /**
   * Grows the volume to at least `size_bytes`, file system included, online.
   *
   * @returns true: it has grown; false: it cannot now, and will at its next mount; nothing: it was as large already.
   */
  expand?(
    request: { readonly spec: VolumeSpec; readonly path: string; readonly size_bytes: number },
    operation: Operation,
  ): Promise<boolean | void>;
}

/** Space of a volume. */
export interface VolumeUsage {
  readonly used_bytes: number;
  /** Absent: no limit of its own. */
  readonly capacity_bytes?: number;
  readonly available_bytes?: number;
  readonly inodes_used?: number;
}

/** Makes and deletes what PersistentVolumes stand for. */
export interface Provisioner {
  /** As in StorageClass.provisioner, e.g. `lamina.dev/local`. */
  readonly name: string;
  /** Makes a volume of at least `size_bytes`; again with the same name: the same volume. */
  provision(request: ProvisionRequest, operation: Operation): Promise<Provisioned>;
  /** Deletes volume and data. Gone already: success. @throws `CONFLICT` while something uses it. */
  remove(source: Readonly<Record<string, unknown>>, operation: Operation): Promise<void>;
  /** Deletes what {@linkcode provision} has made under this name, or begun to make. Nothing there: success. */
  discard(
    name: string,
    parameters: Readonly<Record<string, string>>,
    operation: Operation,
  ): Promise<void>;
  /**
   * Raises the size; it never shrinks. `pending`: the file system grows at its next mount; `obstacle`: why it does not
   * now, though it is mounted.
   */
  expand?(
    source: Readonly<Record<string, unknown>>,
    size_bytes: number,
    operation: Operation,
  ): Promise<{ readonly size_bytes: number; readonly pending: boolean; readonly obstacle?: string }>;
  /** What the volume holds and may hold. */
  usage?(source: Readonly<Record<string, unknown>>, operation: Operation): Promise<VolumeUsage>;
  /**
   * Where the backing can; again with the same name: the same snapshot.
   *
   * @returns opaque data kept in the VolumeSnapshot's status; what a volume made of it must have at least.
   * @throws `UNSUPPORTED` with the reason.
   */
  snapshot?(
    source: Readonly<Record<string, unknown>>,
    name: string,
    operation: Operation,
  ): Promise<{ readonly handle: string; readonly size_bytes: number }>;
  removeSnapshot?(handle: string, operation: Operation): Promise<void>;
  /** Everything that was made with these parameters and is there: paths that end in its name. None: these make nothing. */
  list?(parameters: Readonly<Record<string, string>>, operation: Operation): Promise<readonly string[]>;
  /** What can still be provisioned with these parameters; truthful. */
  capacity(
    parameters: Readonly<Record<string, string>>,
    operation: Operation,
  ): Promise<{ readonly total_bytes: number; readonly available_bytes: number }>;
}

/** What is to be provisioned. */
export interface ProvisionRequest {
  /** Of the future PersistentVolume; `pvc-UID`. */
  readonly name: string;
  readonly size_bytes: number;
  readonly access_modes: readonly AccessMode[];
  readonly volume_mode: "Filesystem" | "Block";
  /** Of the StorageClass. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Handle of a snapshot, or source of a volume, that the new one starts as a copy of. */
  readonly from?: { readonly snapshotHandle?: string; readonly source?: Readonly<Record<string, unknown>> };
}

/** What was provisioned. */
export interface Provisioned {
  /** For the PersistentVolume's spec: exactly one key, `local`, `csi`, … */
  readonly source: Readonly<Record<string, unknown>>;
  /** What was really given; enforced. */
  readonly size_bytes: number;
}

/**
 * What a failed step means for the state of its volume: `final`: nothing is there, NotMounted; `transient`: the state is
 * what it was; `uncertain`: something may be there, so it is retried while wanted and torn down when not.
 */
export type FailureClass = "final" | "transient" | "uncertain";

/** Codes after which nobody knows how far the other side came. All others are final. */
const UNCERTAIN_CODES: ReadonlySet<string> = new Set(["DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE", "INTERNAL"]);

/** The class of a plugin's failure. A plugin that knows better puts `failure_class` into the error's details. */
export function failureClass(error: LaminaError): FailureClass {
  const told = error.details.failure_class;
  if (told === "final" || told === "transient" || told === "uncertain") return told;
  return UNCERTAIN_CODES.has(error.code) ? "uncertain" : "final";
}
