/** The volume manager: wishes in, mounts out. See the port. */
import { LaminaError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type { DesiredVolume } from "./desired_world.ts";
import { look, lookAtDevicesOf } from "./look.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { MountWatch } from "./mount_watch.ts";
import type {
  DeviceUse,
  KeptRoot,
  OperationStatus,
  VolumeManager,
  VolumeStatus,
  WaitOptions,
  WantedWorkload,
} from "./port.ts";
import { Reconciler } from "./reconciler.ts";
import { type ActualRecovery, recoverActual } from "./recover_actual.ts";
import {
  type DeviceKey,
  deviceKey,
  deviceLockKey,
  lockKey,
  operationId,
  type OperationName,
  type VolumeState,
} from "./states.ts";
import { deviceUse, lastError, lastFailure, notReady, operationStatuses, volumeStatuses } from "./status.ts";
import { Waiters } from "./waiters.ts";

/** What operations that run may take to end when the runtime does. */
const CLOSE_MS = 10_000;
const WATCH_DELAY_MS = 20;
const UP: readonly OperationName[] = ["attach", "mount_device", "volume_mount", "expand"];
const DOWN: readonly OperationName[] = ["volume_unmount", "unmount_device", "detach"];

/** See the head of the file. */
export class Manager implements VolumeManager, AsyncDisposable {
  readonly #room: ManagerRoom;
  readonly #reconciler: Reconciler;
  readonly #waiters = new Waiters();
  readonly #watch: MountWatch;
  readonly #boot: string;
  /** Devices that a released workload had, until they are gone. */
  readonly #leaving = new Map<string, Set<DeviceKey>>();
  #stopWatchTimer: (() => void) | undefined;

  constructor(room: ManagerRoom) {
    this.#room = room;
    this.#boot = room.host.bootId();
    this.#reconciler = new Reconciler(room, (uid) => this.#progress(uid));
    this.#watch = new MountWatch(room.host, () => this.#look(), (message) => {
      const workload = { kind: "client" as const, uid: "", name: "", namespace: "" };
      room.report({ workload, type: "Warning", reason: "MountWatchFailed", message });
    });
  }

  /** Takes over what an earlier process left. Before anything else. */
  recover(): ActualRecovery {
    const recovery = recoverActual(this.#reconciler.actual, this.#room);
    this.#updateWatch();
    return recovery;
  }

  /** See {@linkcode VolumeManager}. */
  desire(wanted: WantedWorkload): void {
    const { desired, executor } = this.#reconciler;
    const { changed, dropped } = desired.put(wanted);
    this.#leaving.delete(wanted.workload.uid);
    for (const volume of changed) {
      this.#forgetFailures(volume, [...UP, ...DOWN]);
      for (const key of new Set([lockKey(volume), deviceLockKey(volume.deviceKey)])) {
        const running = executor.running.get(key);
        if (running === undefined || !DOWN.includes(running.task.planned.name)) continue;
        const { planned } = running.task;
        if (planned.volume !== undefined && planned.volume !== volume.key) continue;
        executor.cancel(running, `${volume.workload.name} wants the volume again`);
      }
    }
    for (const volume of dropped) this.#drop(volume);
    lookAtDevicesOf(this.#reconciler, wanted.workload.uid);
    this.#reconciler.wake();
    this.#waiters.notify(wanted.workload.uid);
  }

  /** See {@linkcode VolumeManager}. */
  release(workloadUid: string, options: { readonly force?: boolean } = {}): void {
    const removed = this.#reconciler.desired.remove(workloadUid);
    if (options.force) {
      const devices = [...removed?.volumes.values() ?? []].map(({ deviceKey }) => deviceKey);
      this.#giveUp(workloadUid, [...devices, ...this.#leaving.get(workloadUid) ?? []]);
    }
    if (removed === undefined) return;
    for (const volume of removed.volumes.values()) this.#drop(volume);
    const devices = new Set([...removed.volumes.values()].map((volume) => volume.deviceKey));
    this.#leaving.set(workloadUid, devices);
    this.#forgetLeft(workloadUid);
    this.#reconciler.wake();
    this.#waiters.notify(workloadUid);
  }

  /** See {@linkcode VolumeManager}. */
  ready(workloadUid: string, operation: Operation, options: WaitOptions = {}): Promise<ReadonlyMap<string, string>> {
    const { desired, actual, failures } = this.#reconciler;
    const asked = desired.workload(workloadUid);
    const failFast = options.failFast ?? asked?.workload.kind !== "pod";
    if (failFast && asked !== undefined) {
      // Somebody asks anew: what failed before is tried now.
      for (const volume of asked.volumes.values()) this.#idsOf(volume, UP).forEach((id) => failures.retryNow(id));
      this.#reconciler.wake();
    }
    const check = (): ReadonlyMap<string, string> | undefined => {
      const workload = desired.workload(workloadUid);
      if (workload === undefined) throw notWanted(workloadUid);
      const missing = notReady(this.#reconciler, workload);
      if (missing === undefined) {
        return new Map([...workload.volumes].map(([name, { key }]) => [name, actual.volumes.get(key)!.path]));
      }
      if (!failFast || missing.error === undefined) return undefined;
      const volume = workload.volumes.get(missing.volume);
      const failure = volume && lastFailure(this.#reconciler, volume.key, volume.deviceKey);
      // What failed before this call is being tried again.
      if (failure?.attempts === 0) return undefined;
      throw unusable(workload.workload, missing.volume, missing.error);
    };
    return this.#waiters.until(workloadUid, operation.signal, check, () => {
      const workload = desired.workload(workloadUid)!;
      const missing = notReady(this.#reconciler, workload)!;
      return unusable(workload.workload, missing.volume, missing.error);
    });
  }

  /** See {@linkcode VolumeManager}. */
  async gone(workloadUid: string, operation: Operation, options: WaitOptions = {}): Promise<void> {
    const { desired, actual, isComplete } = this.#reconciler;
    const late = () => {
      const [left] = actual.ofWorkload(workloadUid);
      const device = [...this.#leaving.get(workloadUid) ?? []][0] ?? "";
      const error = lastError(this.#reconciler, left?.key ?? "", left?.deviceKey ?? device);
      const what = left === undefined ? `the device of ${device}` : `volume ${JSON.stringify(left.volume)}`;
      return notGone(what, isComplete, error);
    };
    await this.#waiters.until(workloadUid, operation.signal, () => {
      if (desired.workload(workloadUid) !== undefined) {
        throw new LaminaError("CONFLICT", `The workload ${workloadUid} is wanted again: its volumes stay`);
      }
      if (this.#isGone(workloadUid)) return true;
      if (options.failFast && this.#hasFailed(workloadUid)) throw late();
      return undefined;
    }, late);
    this.#leaving.delete(workloadUid);
  }

  /** See {@linkcode VolumeManager}. */
  wants(workloadUid: string): boolean {
    return this.#reconciler.desired.workload(workloadUid) !== undefined;
  }

  /** See {@linkcode VolumeManager}. */
  device(plugin: string, volumeId: string): DeviceUse {
    return deviceUse(this.#reconciler, deviceKey(plugin, volumeId));
  }

  /** See {@linkcode VolumeManager}. */
  async deviceGone(plugin: string, volumeId: string, operation: Operation): Promise<void> {
    const { isComplete, failures } = this.#reconciler;
    const key = deviceKey(plugin, volumeId);
    for (const name of DOWN) failures.retryNow(operationId(name, key));
    this.#reconciler.wake();
    const late = () => notGone(`the device of ${key}`, isComplete, lastError(this.#reconciler, "", key));
    await this.#waiters.until("", operation.signal, () => {
      const { users, isHere } = this.device(plugin, volumeId);
      if (users.length > 0 || !isHere) return true;
      if ((lastFailure(this.#reconciler, "", key)?.attempts ?? 0) > 0) throw late();
      return undefined;
    }, late);
  }

  /** See {@linkcode VolumeManager}. */
  get isComplete(): boolean {
    return this.#reconciler.isComplete;
  }

  /** See {@linkcode VolumeManager}. */
  desiredIsComplete(): void {
    this.#reconciler.complete();
  }

  /** See {@linkcode VolumeManager}. */
  objectChanged(key: { readonly kind: string; readonly namespace: string; readonly name: string }): void {
    const touched = this.#reconciler.desired.touch(key);
    for (const volume of touched) this.#reconciler.failures.retryNow(operationId("volume_mount", volume.key));
    if (touched.length > 0) this.#reconciler.wake();
  }

  /** See {@linkcode KeptRoots}. */
  keepRoot(root: KeptRoot): void {
    this.#reconciler.roots.keep(root);
    this.#reconciler.failures.clear(operationId("root_mount", root.id));
    this.#updateWatch();
  }

  /** See {@linkcode KeptRoots}. */
  dropRoot(id: string): void {
    const { roots, failures, executor } = this.#reconciler;
    roots.drop(id);
    failures.clear(operationId("root_mount", id));
    const running = executor.running.get(`root ${id}`);
    if (running !== undefined) executor.cancel(running, "The container is unmounted");
    this.#updateWatch();
  }

  /** Whether a directory below `ROOT/pods` or `ROOT/plugins` belongs to something that is wanted or there. */
  owns(path: string): boolean {
    const { desired, actual } = this.#reconciler;
    const isIn = (entry: { readonly path: string }) => entry.path.startsWith(`${path}/`);
    const uid = path.slice(this.#room.layout.pods.length + 1);
    if (desired.workload(uid) !== undefined) return true;
    return [...actual.volumes.values()].some(isIn) || [...actual.devices.values()].some(isIn);
  }

  /** See {@linkcode VolumeManager}. */
  volumes(): VolumeStatus[] {
    return volumeStatuses(this.#reconciler);
  }

  /** See {@linkcode VolumeManager}. */
  operations(): OperationStatus[] {
    return operationStatuses(this.#reconciler);
  }

  /** See {@linkcode VolumeManager}. */
  metrics(): string {
    const { desired, actual, executor, failures, metrics } = this.#reconciler;
    const wanted = new Map<string, number>();
    for (const { plugin } of desired.volumes.values()) wanted.set(plugin.name, (wanted.get(plugin.name) ?? 0) + 1);
    const there = new Map<string, Map<VolumeState, number>>();
    for (const { plugin, state } of actual.volumes.values()) {
      const states = there.get(plugin) ?? new Map<VolumeState, number>();
      there.set(plugin, states.set(state, (states.get(state) ?? 0) + 1));
    }
    const running = executor.running.size;
    return metrics.text({ desired: wanted, actual: there, running, backoff: failures.size });
  }

  /** Stops; what is mounted stays mounted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopWatchTimer?.();
    this.#watch.stop();
    await this.#reconciler.close(CLOSE_MS);
  }

  /** What of a workload cannot be unmounted in order may be taken out of sight. */
  #giveUp(uid: string, devices: Iterable<DeviceKey>): void {
    const { actual, desired, failures } = this.#reconciler;
    for (const volume of actual.ofWorkload(uid)) {
      volume.isGivenUp = true;
      failures.retryNow(operationId("volume_unmount", volume.key));
    }
    for (const key of devices) {
      const device = actual.devices.get(key);
      if (device === undefined || desired.wantsDevice(key)) continue;
      device.isGivenUp = true;
      failures.retryNow(operationId("unmount_device", key));
    }
    this.#reconciler.wake();
  }

  #drop(volume: DesiredVolume): void {
    const { desired, executor } = this.#reconciler;
    this.#forgetFailures(volume, ["volume_mount", "expand"]);
    const running = executor.running.get(lockKey(volume));
    if (!desired.wantsDevice(volume.deviceKey)) this.#forgetFailures(volume, ["attach", "mount_device"]);
    if (running === undefined || !UP.includes(running.task.planned.name)) return;
    const { planned } = running.task;
    const isShared = planned.device !== undefined && desired.wantsDevice(planned.device);
    if (isShared || (planned.device === undefined && planned.volume !== volume.key)) return;
    executor.cancel(running, `${volume.workload.name} does not want the volume any more`);
  }

  #idsOf(volume: Pick<DesiredVolume, "key" | "deviceKey">, names: readonly OperationName[]): string[] {
    return names.flatMap((name) => [operationId(name, volume.key), operationId(name, volume.deviceKey)]);
  }

  #forgetFailures(volume: Pick<DesiredVolume, "key" | "deviceKey">, names: readonly OperationName[]): void {
    for (const id of this.#idsOf(volume, names)) this.#reconciler.failures.clear(id);
  }

  /** Whether something that a released workload had could not be taken down. */
  #hasFailed(uid: string): boolean {
    const left = [...this.#reconciler.actual.ofWorkload(uid)].map(({ key, deviceKey }) => [key, deviceKey] as const);
    const devices = [...this.#leaving.get(uid) ?? []].map((device) => ["", device] as const);
    return [...left, ...devices].some(([volume, device]) =>
      (lastFailure(this.#reconciler, volume, device)?.attempts ?? 0) > 0
    );
  }

  #isGone(uid: string): boolean {
    const { actual } = this.#reconciler;
    for (const _ of actual.ofWorkload(uid)) return false;
    this.#forgetLeft(uid);
    return !this.#leaving.has(uid);
  }

  /** Once its volumes are gone: devices that are gone, too, or stay because somebody else has them. */
  #forgetLeft(uid: string): void {
    const { actual, desired } = this.#reconciler;
    const devices = this.#leaving.get(uid);
    if (devices === undefined) return;
    for (const _ of actual.ofWorkload(uid)) return;
    for (const device of devices) {
      const stays = desired.wantsDevice(device) || actual.hasVolumeOf(device);
      const isThere = actual.devices.has(device) || this.#reconciler.executor.keys.has(deviceLockKey(device));
      if (stays || !isThere) devices.delete(device);
    }
    if (devices.size === 0) this.#leaving.delete(uid);
  }

  #progress(uid: string | undefined): void {
    for (const leaving of [...this.#leaving.keys()]) {
      this.#forgetLeft(leaving);
      if (!this.#leaving.has(leaving)) this.#waiters.notify(leaving);
    }
    this.#waiters.notify(uid);
    this.#updateWatch();
    this.#watch.soon();
  }

  /** The table is watched while there is something to look for. A little later, so that no call waits for it. */
  #updateWatch(): void {
    this.#stopWatchTimer ??= this.#room.host.timer(WATCH_DELAY_MS, () => {
      this.#stopWatchTimer = undefined;
      const { actual, roots, sources } = this.#reconciler;
      this.#watch.needed = actual.volumes.size + actual.devices.size + roots.size > 0 || sources.isNeeded;
      this.#watch.soon();
    }, true);
  }

  #look(): void {
    this.#reconciler.sources.changed();
    if (!look(this.#reconciler, this.#boot)) return;
    this.#reconciler.wake();
    this.#waiters.notify();
  }
}

function notGone(what: string, isComplete: boolean, error: LaminaError | undefined): LaminaError {
  const why = error?.message ??
    (isComplete ? "it is still being unmounted" : "nothing is unmounted until all workloads are known after the start");
  return new LaminaError(error?.code ?? "DEADLINE_EXCEEDED", `Cannot take down ${what} in time: ${why}`, {
    cause: error,
    details: error?.details,
  });
}

function notWanted(uid: string): LaminaError {
  return new LaminaError("NOT_FOUND", `Nobody wants volumes for the workload ${uid}, or not any more`, {
    details: { workload: uid },
  });
}

function unusable(workload: { readonly kind: string; readonly name: string }, volume: string, error?: LaminaError) {
  const what = `Cannot make volume ${JSON.stringify(volume)} of ${workload.kind} ${workload.name} ready`;
  return new LaminaError(
    error?.code ?? "DEADLINE_EXCEEDED",
    `${what}: ${error?.message ?? "it is still being mounted; see the operations"}`,
    { cause: error, details: { ...error?.details, volume } },
  );
}
