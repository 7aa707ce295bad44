/** What the manager says of itself: volumes, operations, and why a workload is not ready. */
import { LaminaError } from "../../core/errors.ts";
import type { Failure } from "./backoff.ts";
import type { DesiredVolume, DesiredWorkload } from "./desired_world.ts";
import type { RunningTask } from "./executor.ts";
import type { DeviceUse, OperationStatus, VolumeStatus } from "./port.ts";
import { type Reconciler, stuckError } from "./reconciler.ts";
import { type DeviceKey, deviceLockKey, lockKey, operationId, type OperationName, type VolumeKey } from "./states.ts";

const OF_VOLUME: readonly OperationName[] = ["volume_mount", "volume_unmount", "expand"];
const OF_DEVICE: readonly OperationName[] = ["attach", "mount_device", "unmount_device", "detach"];

/** Every volume that is wanted or there. */
export function volumeStatuses(reconciler: Reconciler): VolumeStatus[] {
  const { desired, actual } = reconciler;
  const statuses: VolumeStatus[] = [];
  for (const wanted of desired.volumes.values()) {
    const { kind, uid, name } = wanted.workload;
    const volume = wanted.wanted.spec.name;
    const entry = actual.volumes.get(wanted.key);
    const error = lastError(reconciler, wanted.key, wanted.deviceKey);
    statuses.push({
      workload: { kind, uid, name },
      volume,
      plugin: wanted.plugin.name,
      state: entry?.state ?? "NotMounted",
      path: entry?.path ?? actual.pathOf(wanted),
      ...(error !== undefined && { last_error: error.message }),
    });
  }
  for (const entry of actual.volumes.values()) {
    if (desired.volumes.has(entry.key)) continue;
    const { kind, uid, name } = entry.workload;
    const { volume, plugin, state, path } = entry;
    const error = lastError(reconciler, entry.key, entry.deviceKey);
    statuses.push({
      workload: { kind, uid, name },
      volume,
      plugin,
      state,
      path,
      ...(error !== undefined && { last_error: error.message }),
    });
  }
  return statuses;
}

/** What is behind a volume, whoever uses it. */
export function deviceUse(reconciler: Reconciler, device: DeviceKey): DeviceUse {
  const { desired, actual, executor } = reconciler;
  const error = lastError(reconciler, "", device);
  return {
    users: desired.usersOf(device),
    isHere: actual.devices.has(device) || executor.keys.has(deviceLockKey(device)),
    ...(error !== undefined && { error }),
  };
}

/** What runs, and what waits for its next try. */
export function operationStatuses({ executor, failures, desired, actual }: Reconciler): OperationStatus[] {
  const statuses: OperationStatus[] = [];
  const ids = new Set<string>();
  for (const running of executor.running.values()) {
    const { planned, plugin } = running.task;
    ids.add(planned.id);
    const failure = failures.get(planned.id);
    const error = running.stuck === undefined ? failure?.error : stuckError(running.stuck, plugin);
    statuses.push({
      key: subjectOf(planned.id),
      name: planned.name,
      plugin,
      state: "running",
      attempts: (failure?.attempts ?? 0) + 1,
      since: new Date(running.since_ms).toISOString(),
      ...(error !== undefined && { last_error: error.message }),
    });
  }
  for (const { id, attempts, since_ms, next_ms, error } of failures.values()) {
    if (ids.has(id)) continue;
    const subject = subjectOf(id);
    const plugin = desired.volumes.get(subject)?.plugin.name ?? actual.volumes.get(subject)?.plugin ??
      actual.devices.get(subject)?.plugin ?? subject.split(" ")[0]!;
    statuses.push({
      key: subject,
      name: id.slice(0, id.indexOf(" ")),
      plugin,
      state: "backoff",
      attempts,
      since: new Date(since_ms).toISOString(),
      ...(next_ms > 0 && { next_at: new Date(next_ms).toISOString() }),
      last_error: error.message,
    });
  }
  return statuses;
}

function subjectOf(id: string): string {
  return id.slice(id.indexOf(" ") + 1);
}

/** The failure that keeps a volume from what is wanted of it. */
export function lastFailure(reconciler: Reconciler, volume: VolumeKey, device: DeviceKey): Failure | undefined {
  const { failures } = reconciler;
  if (failures.size === 0) return undefined;
  const ids = [
    ...OF_VOLUME.map((name) => operationId(name, volume)),
    ...OF_DEVICE.map((name) => operationId(name, device)),
  ];
  for (const id of ids) {
    const failure = failures.get(id);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** The same as an error, with what else can be in the way. */
export function lastError(reconciler: Reconciler, volume: VolumeKey, device: DeviceKey): LaminaError | undefined {
  const failure = lastFailure(reconciler, volume, device);
  if (failure !== undefined) return failure.error;
  const running = stuckTask(reconciler, volume, device);
  if (running !== undefined) return stuckError(running.stuck!, running.task.plugin);
  const owner = reconciler.exclusive.get(volume);
  return owner === undefined ? undefined : ownedByAnother(reconciler, volume, owner);
}

function stuckTask({ executor }: Reconciler, volume: VolumeKey, device: DeviceKey): RunningTask | undefined {
  for (
    const key of [
      lockKey({ key: volume, deviceKey: device, attachable: false, deviceMountable: false }),
      deviceLockKey(device),
    ]
  ) {
    const running = executor.running.get(key);
    if (running?.stuck !== undefined) return running;
  }
  return undefined;
}

function ownedByAnother({ desired, actual }: Reconciler, volume: VolumeKey, owner: string): LaminaError {
  const wanted = desired.volumes.get(volume);
  const other = desired.workload(owner)?.workload ?? [...actual.ofWorkload(owner)][0]?.workload;
  const name = wanted?.wanted.spec.persistent_volume?.name ?? wanted?.wanted.spec.name ?? volume;
  return new LaminaError(
    "CONFLICT",
    `The volume ${JSON.stringify(name)} is ReadWriteOncePod, and ${other?.kind ?? "workload"} ${
      other?.name ?? owner
    } has it. Delete that one first`,
    { details: { volume: name, owner: other?.name ?? owner } },
  );
}

/** Why a workload is not ready, or `undefined` when it is. `final`: waiting longer does not help by itself. */
export function notReady(
  reconciler: Reconciler,
  workload: DesiredWorkload,
): { readonly volume: string; readonly error?: LaminaError; readonly key?: VolumeKey } | undefined {
  let waiting: { volume: string; error?: LaminaError; key?: VolumeKey } | undefined;
  for (const [volume, error] of workload.problems) return { volume, error };
  for (const [volume, wanted] of workload.volumes) {
    if (isUsable(reconciler, wanted)) continue;
    const error = lastError(reconciler, wanted.key, wanted.deviceKey);
    if (error !== undefined) return { volume, error, key: wanted.key };
    waiting ??= { volume, key: wanted.key };
  }
  return waiting;
}

/** Up, and as it is wanted; a refresh that is due or fails changes nothing of that. */
function isUsable({ actual }: Reconciler, wanted: DesiredVolume): boolean {
  const entry = actual.volumes.get(wanted.key);
  if (wanted.isInPlace && actual.devices.get(wanted.deviceKey)?.device !== "GloballyMounted") return false;
  return entry?.state === "Mounted" && entry.revision === wanted.revision && entry.deviceKey === wanted.deviceKey;
}
