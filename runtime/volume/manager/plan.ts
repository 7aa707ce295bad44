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
  /** Ids of all that is to be done, now or when what it waits for is over. */
  readonly due: ReadonlySet<string>;
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
  readonly #due = new Set<string>();
  readonly #exclusive = new Map<VolumeKey, string>();
  readonly #owners: ReadonlyMap<DeviceKey, { readonly uid: string; readonly before?: string }>;
  #wakeAt_ms: number | undefined;

  constructor(input: PlanInput) {
    this.#input = input;
    this.#owners = this.#findOwners();
  }

  plan(): Plan {
    if (this.#input.complete) this.#unmountVolumes();
    this.#mountVolumes();
    this.#mountRoots();
    if (this.#input.complete) this.#releaseDevices();
    return {
      operations: this.#operations,
      wakeAt_ms: this.#wakeAt_ms,
      due: this.#due,
      exclusive: this.#exclusive,
    };
  }

  #unmountVolumes(): void {
    const { volumes, desired } = this.#input;
    for (const actual of volumes.values()) {
      // Under the same name another volume may be wanted by now.
      const wanted = desired.get(actual.key);
      if (wanted?.deviceKey === actual.deviceKey && !this.#isLeft(wanted, actual)) continue;
      this.#propose("volume_unmount", actual.key, { key: lockKey(actual), volume: actual.key });
    }
  }

  /** Two have what only one may have, after a crash perhaps: whoever is not the owner gives it up. */
  #isLeft(wanted: DesiredFacts, actual: ActualFacts): boolean {
    if (!wanted.exclusive || actual.state === "NotMounted") return false;
    const owner = this.#owners.get(wanted.deviceKey)?.uid;
    return owner !== undefined && owner !== wanted.workloadUid;
  }

  #mountVolumes(): void {
    const { desired, volumes, devices } = this.#input;
    for (const wanted of desired.values()) {
      const actual = volumes.get(wanted.key);
      if (actual !== undefined && actual.deviceKey !== wanted.deviceKey) continue;
      const owner = wanted.exclusive ? this.#owners.get(wanted.deviceKey) : undefined;
      const other = owner?.uid === wanted.workloadUid ? owner.before : owner?.uid;
      if (other !== undefined) {
        this.#exclusive.set(wanted.key, other);
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

  /**
   * Who has a volume that only one workload may have: of those who want it whoever has it mounted, then whoever may have
   * it, then whoever asked first. `before`: somebody else still has it, too.
   */
  #findOwners(): Map<DeviceKey, { readonly uid: string; readonly before?: string }> {
    const { desired, volumes } = this.#input;
    const best = new Map<DeviceKey, { readonly uid: string; readonly rank: number }>();
    for (const wanted of desired.values()) {
      if (!wanted.exclusive) continue;
      const actual = volumes.get(wanted.key);
      const state = actual?.deviceKey === wanted.deviceKey ? actual.state : "NotMounted";
      const rank = state === "Mounted" ? 2 : state === "Uncertain" ? 1 : 0;
      if (rank > (best.get(wanted.deviceKey)?.rank ?? -1)) {
        best.set(wanted.deviceKey, { uid: wanted.workloadUid, rank });
      }
    }
    const owners = new Map<DeviceKey, { readonly uid: string; readonly before?: string }>(best);
    if (best.size === 0) return owners;
    for (const actual of volumes.values()) {
      const owner = owners.get(actual.deviceKey);
      if (owner === undefined || owner.uid === actual.workloadUid || actual.state === "NotMounted") continue;
      owners.set(actual.deviceKey, { uid: owner.uid, before: actual.workloadUid });
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
    const id = operationId(name, subject);
    this.#due.add(id);
    if (running.has(operation.key) || this.#taken.has(operation.key)) return;
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
