/**
 * From what is wanted and what is there to the operations that may start now. Pure.
 *
 * The order is the kubelet's: unmount, then attach, mount and expand, then unmount devices and detach. What has to wait
 * (for another operation, for the end of a backoff, for somebody else's volume) is not in the plan; the end of whatever
 * it waits for calls for the next one.
 */
import {
  type ActualFacts,
  type DesiredFacts,
  type DeviceFacts,
  type DeviceKey,
  deviceLockKey,
  lockKey,
  operationId,
  type OperationName,
  type PlannedOperation,
  type RootFacts,
  type VolumeKey,
} from "./states.ts";

/** Both worlds and what goes on. */
export interface PlanInput {
  /** In the order in which they were wanted. */
  readonly desired: ReadonlyMap<VolumeKey, DesiredFacts>;
  readonly volumes: ReadonlyMap<VolumeKey, ActualFacts>;
  readonly devices: ReadonlyMap<DeviceKey, DeviceFacts>;
  readonly roots: Iterable<RootFacts>;
  /** Keys of operations that run. */
  readonly running: ReadonlySet<string>;
  /** When an operation that failed may be tried again, by id. */
  readonly notBefore_ms: ReadonlyMap<string, number>;
  readonly now_ms: number;
  /** All workloads are known. Until then nothing is unmounted. */
  readonly complete: boolean;
}

/** What is to be done. */
export interface Plan {
  /** To be started, in this order. No two have the same key. */
  readonly operations: readonly PlannedOperation[];
  /** When the first backoff ends. */
  readonly wakeAt_ms?: number;
  /** Volumes that another workload has for itself, and the uid of that workload. */
  readonly exclusive: ReadonlyMap<VolumeKey, string>;
}

/** See the head of the file. */
export function plan(input: PlanInput): Plan {
  return new Planner(input).plan();
}

class Planner {
  readonly #input: PlanInput;
  readonly #operations: PlannedOperation[] = [];
  readonly #taken = new Set<string>();
  readonly #exclusive = new Map<VolumeKey, string>();
  #wakeAt_ms: number | undefined;

  constructor(input: PlanInput) {
    this.#input = input;
  }

  plan(): Plan {
    if (this.#input.complete) this.#unmountVolumes();
    this.#mountVolumes();
    this.#mountRoots();
    if (this.#input.complete) this.#releaseDevices();
    return { operations: this.#operations, wakeAt_ms: this.#wakeAt_ms, exclusive: this.#exclusive };
  }

  #unmountVolumes(): void {
    const { volumes, desired } = this.#input;
    for (const actual of volumes.values()) {
      // Under the same name another volume may be wanted by now.
      if (desired.get(actual.key)?.deviceKey === actual.deviceKey) continue;
      this.#propose("volume_unmount", actual.key, { key: lockKey(actual), volume: actual.key });
    }
  }

  #mountVolumes(): void {
    const { desired, volumes, devices } = this.#input;
    const owners = this.#owners();
    for (const wanted of desired.values()) {
      const actual = volumes.get(wanted.key);
      if (actual !== undefined && actual.deviceKey !== wanted.deviceKey) continue;
      const owner = wanted.exclusive ? owners.get(wanted.deviceKey) : undefined;
      if (owner !== undefined && owner !== wanted.workloadUid) {
        this.#exclusive.set(wanted.key, owner);
        continue;
      }
      const key = lockKey(wanted);
      const device = devices.get(wanted.deviceKey);
      if (wanted.attachable && device?.attach !== "Yes") {
        this.#propose("attach", wanted.deviceKey, { key, device: wanted.deviceKey, volume: wanted.key });
      } else if (wanted.deviceMountable && device?.device !== "GloballyMounted") {
        this.#propose("mount_device", wanted.deviceKey, { key, device: wanted.deviceKey, volume: wanted.key });
      } else if (actual === undefined || !isCurrent(actual, wanted)) {
        const again = actual?.state === "Mounted";
        this.#propose("volume_mount", wanted.key, { key, volume: wanted.key, ...(again && { again }) });
      } else if (wanted.size_bytes !== undefined && wanted.size_bytes > (actual.size_bytes ?? 0)) {
        this.#propose("expand", wanted.key, { key, volume: wanted.key });
      }
    }
  }

  /** Who has a volume that only one workload may have: whoever has it mounted, then whoever asked first. */
  #owners(): Map<DeviceKey, string> {
    const { desired, volumes } = this.#input;
    const owners = new Map<DeviceKey, string>();
    const exclusive = new Set<DeviceKey>();
    for (const wanted of desired.values()) if (wanted.exclusive) exclusive.add(wanted.deviceKey);
    if (exclusive.size === 0) return owners;
    for (const actual of volumes.values()) {
      if (actual.state === "NotMounted" || !exclusive.has(actual.deviceKey)) continue;
      // Two can be there only after a crash or a change of access modes: the one that is still wanted stays.
      if (!owners.has(actual.deviceKey) || desired.has(actual.key)) owners.set(actual.deviceKey, actual.workloadUid);
    }
    for (const wanted of desired.values()) {
      if (wanted.exclusive && !owners.has(wanted.deviceKey)) owners.set(wanted.deviceKey, wanted.workloadUid);
    }
    return owners;
  }

  #mountRoots(): void {
    for (const { id, broken } of this.#input.roots) {
      if (broken) this.#propose("root_mount", id, { key: `root ${id}`, root: id });
    }
  }

  #releaseDevices(): void {
    const { desired, volumes, devices } = this.#input;
    if (devices.size === 0) return;
    const needed = new Set<DeviceKey>();
    for (const wanted of desired.values()) needed.add(wanted.deviceKey);
    // Also what is NotMounted: as long as there is an entry, something is still to be torn down.
    for (const actual of volumes.values()) needed.add(actual.deviceKey);
    for (const device of devices.values()) {
      if (needed.has(device.key)) continue;
      const name = device.device === "NotMounted" ? "detach" : "unmount_device";
      this.#propose(name, device.key, { key: deviceLockKey(device.key), device: device.key });
    }
  }

  #propose(name: OperationName, subject: string, operation: Omit<PlannedOperation, "name" | "id">): void {
    const { running, notBefore_ms, now_ms } = this.#input;
    if (running.has(operation.key) || this.#taken.has(operation.key)) return;
    const id = operationId(name, subject);
    const next_ms = notBefore_ms.get(id);
    if (next_ms !== undefined && next_ms > now_ms) {
      this.#wakeAt_ms = Math.min(this.#wakeAt_ms ?? Infinity, next_ms);
      return;
    }
    this.#taken.add(operation.key);
    this.#operations.push({ name, id, ...operation });
  }
}

/** Whether it is up, and as it is wanted. */
function isCurrent(actual: ActualFacts, wanted: DesiredFacts): boolean {
  return actual.state === "Mounted" && actual.revision === wanted.revision && actual.refresh === wanted.refresh;
}
