/** One look at the mount table: what is gone is mounted again, what was seen for the first time is noted. */
import type { MountEntry } from "../../core/mountinfo.ts";
import type { ManagerMount } from "./manager_host.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { mountsAround } from "./evidence.ts";
import type { ActualDevice, ActualVolume } from "./actual_world.ts";
import { devicePaths, topMountsBelow } from "./presence.ts";
import type { Reconciler } from "./reconciler.ts";
import { deviceLockKey, lockKey } from "./states.ts";
import { groupBelow, verifyPlaces } from "./verify.ts";

/** Compares all that is mounted with the table. True: something is to be done. */
export function look(reconciler: Reconciler, boot: string): boolean {
  const { room, roots } = reconciler;
  const table = room.host.mountTable();
  const tops = topMountsBelow(table, room.layout.root, devicePaths(reconciler.actual.devices.values()));
  let due = lookAtVolumes(reconciler, tops, boot);
  due = lookAtDevices(reconciler, tops, boot) || due;
  if (roots.size > 0) {
    for (const { id, name } of roots.verify(groupBelow(table, room.layout.containers))) {
      due = true;
      const workload = { kind: "container" as const, uid: id, name, namespace: "" };
      room.report({ workload, type: "Warning", reason: "MountLost", message: "a mount of its root is gone" });
    }
  }
  return retryWhereChanged(reconciler) || due;
}

/** Whether what a workload shares with others is still there, without a look at the whole table. */
export function lookAtDevicesOf({ room, actual, desired, executor }: Reconciler, uid: string): void {
  for (const { deviceKey } of desired.workload(uid)?.volumes.values() ?? []) {
    const device = actual.devices.get(deviceKey);
    if (device?.device !== "GloballyMounted" || executor.keys.has(deviceLockKey(deviceKey))) continue;
    const isThere = device.places.every(({ target, mountId }) => {
      const id = room.host.mountIdAt(target);
      return id !== undefined && (mountId === undefined || mountId === id);
    });
    if (!isThere) device.device = "Uncertain";
  }
}

function lookAtVolumes({ room, actual, executor }: Reconciler, tops: Map<string, ManagerMount>, boot: string): boolean {
  let due = false;
  const seen: ActualVolume[] = [];
  for (const entry of actual.volumes.values()) {
    // An operation that runs knows better.
    if (entry.places.length === 0 || entry.state !== "Mounted" || executor.keys.has(lockKey(entry))) continue;
    const verdict = verifyPlaces(entry.places, tops);
    if (verdict === "new") seen.push(entry);
    if (verdict !== "lost") {
      tellWhatIsGone(room, entry, tops);
      continue;
    }
    entry.state = "Uncertain";
    due = true;
    room.report({
      workload: entry.workload,
      type: "Warning",
      reason: "MountLost",
      message: `the mount of volume "${entry.volume}" at ${entry.path} is gone or covered`,
    });
  }
  for (const entry of seen) noteInBackground(room.journal.putVolume(entry, boot));
  return due;
}

/** A directory or file of the host that was deleted, or replaced by a rename, is shown on: people hear of it once. */
function tellWhatIsGone(room: ManagerRoom, entry: ActualVolume, tops: Map<string, ManagerMount>): void {
  const isGone = entry.places.some(({ target }) => tops.get(target)?.isSourceGone);
  if (isGone && !entry.isSourceGone) {
    const message =
      `what volume "${entry.volume}" shows was deleted or replaced on the host: it goes on showing the old ` +
      "one. Delete and apply its workload again to use what is there now";
    room.report({
      workload: entry.workload,
      type: "Warning",
      reason: "VolumeSourceGone",
      message,
      volume: entry.volume,
    });
  }
  entry.isSourceGone = isGone;
}

function lookAtDevices(
  { room, actual, desired, executor }: Reconciler,
  tops: Map<string, MountEntry>,
  boot: string,
): boolean {
  let due = false;
  const seen: ActualDevice[] = [];
  for (const entry of actual.devices.values()) {
    const isUp = entry.places.length > 0 && entry.device === "GloballyMounted";
    if (!isUp || executor.keys.has(deviceLockKey(entry.key))) continue;
    const verdict = verifyPlaces(entry.places, tops);
    if (verdict === "new") seen.push(entry);
    if (verdict !== "lost") continue;
    entry.device = "Uncertain";
    due = true;
    for (const workload of desired.usersOf(entry.key)) {
      const message = `the mount of volume "${entry.volumeId}" at ${entry.path} is gone or covered`;
      room.report({ workload, type: "Warning", reason: "MountLost", message, volume: entry.volumeId });
    }
  }
  for (const entry of seen) noteInBackground(room.journal.putDevice(entry, boot));
  return due;
}

/** What was in the way of an operation has changed: it is tried at once. */
function retryWhereChanged(reconciler: Reconciler): boolean {
  const { failures, actual } = reconciler;
  let due = false;
  for (const { id, evidence, next_ms } of [...failures.values()]) {
    if (evidence === undefined || next_ms === 0) continue;
    const subject = id.slice(id.indexOf(" ") + 1);
    const planned = actual.devices.has(subject) ? { device: subject } : { volume: subject };
    if (mountsAround(planned, reconciler) === evidence) continue;
    failures.retryNow(id);
    due = true;
  }
  return due;
}

/** Without the row, the next start sets the volume up once more: nothing is lost. */
function noteInBackground(written: Promise<void>): void {
  written.catch(() => {});
}
