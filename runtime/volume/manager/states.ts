/**
 * What is wanted and what is there, as {@linkcode plan} compares them.
 *
 * `Uncertain` means: not usable, so it is set up again while it is wanted; and something may be there, so it is torn down
 * once it is not.
 */

/** Of a volume in a workload. */
export type VolumeState = "NotMounted" | "Mounted" | "Uncertain";
/** Of a device mount, shared by the workloads of a volume. */
export type DeviceState = "NotMounted" | "GloballyMounted" | "Uncertain";
/** Of a device at this node. */
export type AttachState = "No" | "Yes" | "Uncertain";

/** A volume of one workload: `UID/NAME`. */
export type VolumeKey = string;
/** A volume of this node, whoever uses it: `PLUGIN VOLUME-ID`. */
export type DeviceKey = string;

/** See {@linkcode VolumeKey}. Neither part holds a `/`. */
export function volumeKey(workloadUid: string, volume: string): VolumeKey {
  return `${workloadUid}/${volume}`;
}

/** See {@linkcode DeviceKey}. Names of plugins hold no spaces. */
export function deviceKey(plugin: string, volumeId: string): DeviceKey {
  return `${plugin} ${volumeId}`;
}

/** What the plan needs to know of a volume that a workload wants. */
export interface DesiredFacts {
  readonly key: VolumeKey;
  readonly deviceKey: DeviceKey;
  readonly workloadUid: string;
  readonly attachable: boolean;
  readonly deviceMountable: boolean;
  /** What it is to be set up as. Another text calls for another `setUp`. */
  readonly revision: string;
  /** Counts the changes of the objects that it is made from. Likewise. */
  readonly refresh: number;
  /** ReadWriteOncePod: no second workload. */
  readonly exclusive: boolean;
  /** The plugin is to make it at least this large. Absent: as it is. */
  readonly size_bytes?: number;
}

/** A volume of a workload that is there, or may be. */
export interface ActualFacts {
  readonly key: VolumeKey;
  readonly deviceKey: DeviceKey;
  readonly workloadUid: string;
  readonly attachable: boolean;
  readonly deviceMountable: boolean;
  readonly state: VolumeState;
  /** What the last `setUp` was for. */
  readonly revision?: string;
  readonly refresh?: number;
  /** What the plugin has made it to. */
  readonly size_bytes?: number;
}

/** A device that is here, or may be. */
export interface DeviceFacts {
  readonly key: DeviceKey;
  readonly attach: AttachState;
  readonly device: DeviceState;
}

/** A container's root that is kept mounted. */
export interface RootFacts {
  readonly id: string;
  /** Some mount of it is gone. */
  readonly broken: boolean;
}

/** What an operation does. The kubelet's names, and `root_mount` for what of a container's root is missing. */
export type OperationName =
  | "attach"
  | "mount_device"
  | "volume_mount"
  | "expand"
  | "root_mount"
  | "volume_unmount"
  | "unmount_device"
  | "detach";

/** One step that the plan asks for. */
export interface PlannedOperation {
  readonly name: OperationName;
  /** What it holds: no two operations of one key at a time. */
  readonly key: string;
  /** Whose patience it has: failures of one id make the next try wait. */
  readonly id: string;
  readonly volume?: VolumeKey;
  readonly device?: DeviceKey;
  readonly root?: string;
  /** The volume is up, and is set up once more. */
  readonly again?: boolean;
}

/** The id of an operation on `subject` (key of a volume or device, id of a root). */
export function operationId(name: OperationName, subject: string): string {
  return `${name} ${subject}`;
}

/**
 * What operations on a volume hold: with a device, everything about that device, because a plugin gets one call at a
 * time for it; otherwise only this workload's volume.
 */
export function lockKey(
  volume: {
    readonly key: VolumeKey;
    readonly deviceKey: DeviceKey;
    readonly attachable: boolean;
    readonly deviceMountable: boolean;
  },
): string {
  return volume.attachable || volume.deviceMountable ? `device ${volume.deviceKey}` : `volume ${volume.key}`;
}

/** What operations on a device hold. */
export function deviceLockKey(device: DeviceKey): string {
  return `device ${device}`;
}
