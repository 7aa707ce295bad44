/**
 * The actual world after a start: the rows, one look at the mount table, and the boot id. What the table proves is up;
 * everything else is Uncertain: set up again where it is wanted, torn down where it is not, once all wishes are known.
 */
import type { ActualWorld, Place } from "./actual_world.ts";
import type { ActualJournal } from "./journal.ts";
import type { ManagerHost } from "./manager_host.ts";
import { devicePaths, topMountsBelow } from "./presence.ts";
import { verifyPlaces } from "./verify.ts";

/** What was found. */
export interface ActualRecovery {
  /** Volumes that were up all the time. */
  readonly adopted: number;
  /** Volumes of which nobody knows. */
  readonly uncertain: number;
}

/** Fills an empty world. */
export function recoverActual(
  actual: ActualWorld,
  room: { readonly journal: ActualJournal; readonly host: ManagerHost; readonly layout: { readonly root: string } },
): ActualRecovery {
  const { volumes, devices } = room.journal.load();
  const boot = room.host.bootId();
  const tops = volumes.length + devices.length === 0
    ? new Map()
    : topMountsBelow(room.host.mountTable(), room.layout.root, devicePaths(devices.map(({ entry }) => entry)));
  const isProved = (found: { readonly boot: string }, places: readonly Place[]) =>
    found.boot === boot && verifyPlaces(places, tops) === "whole";
  let adopted = 0;
  for (const found of volumes) {
    const { entry } = found;
    if (entry.state === "Mounted" && !isProved(found, entry.places)) entry.state = "Uncertain";
    // After a reboot nothing is mounted that was, and what is mounted in its place is somebody else's.
    if (found.boot !== boot) entry.places = [];
    if (entry.state === "Mounted") adopted++;
    entry.isUnknown = entry.state === "Uncertain" && found.boot === boot;
    actual.addVolume(entry);
  }
  for (const found of devices) {
    const { entry } = found;
    if (entry.device === "GloballyMounted" && !isProved(found, entry.places)) entry.device = "Uncertain";
    if (found.boot !== boot) entry.places = [];
    actual.devices.set(entry.key, entry);
  }
  return { adopted, uncertain: volumes.length - adopted };
}
