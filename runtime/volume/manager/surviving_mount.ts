/**
 * A volume in memory is in its mounts and nowhere else. When somebody takes the one at its path away, the containers that
 * bind it still have it: that one is bound back, with all that was written, instead of an empty one beside it.
 */
import type { MountEntry } from "../../core/mountinfo.ts";
import type { Operation } from "../../core/operation.ts";
import type { ActualDevice, ActualVolume, ActualWorld, Place } from "./actual_world.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { topMount } from "./presence.ts";

type Seen = NonNullable<Place["seen"]>;
type Entry = ActualVolume | ActualDevice;
type Room = Pick<ManagerRoom, "host" | "mounter" | "rootsThatBind">;

/** What can be brought back. */
interface Lost {
  readonly target: string;
  readonly seen: Seen;
  /** Where it still is. */
  readonly source: string;
}

/** What of a volume or device is gone and still mounted in a container of ours. */
export function findSurvivors(room: Room, actual: ActualWorld, entry: Entry): Lost[] {
  return entry.places.flatMap(({ target, seen }) => {
    // Reading the mount table may take long: it is done when something is gone, and only then.
    if (seen === undefined || room.host.mountIdAt(target) !== undefined) return [];
    const survivor = isOfOthers(actual, entry, seen) ? undefined : findSurvivor(room, entry, seen);
    return survivor === undefined ? [] : [{ target, seen, source: survivor.target }];
  });
}

/** Binds it back. */
export async function bindSurvivors(room: Room, lost: readonly Lost[], { signal }: Operation): Promise<void> {
  for (const { target, seen, source } of lost) {
    room.host.makePlace(target, "directory");
    await room.mounter.mount([{ type: "bind", source, target, options: ["bind", "rprivate"] }], { signal });
    // Somebody may have changed what is there between the look and the bind.
    const made = topMount(room.host.mountTable(), target);
    if (made === undefined || !shows(made, seen)) {
      await room.mounter.unmount([target], { signal });
    } else if (made.options.includes("ro")) {
      // What a container may only read is written here.
      await room.mounter.mount([{ type: "none", source: "none", target, options: ["remount", "bind", "rw"] }], {
        signal,
      });
    }
  }
}

/** The mount of the same file system in the root of a container that binds this very volume; one to write to first. */
function findSurvivor(
  { host, rootsThatBind }: Room,
  entry: Entry,
  seen: Seen,
): MountEntry | undefined {
  const table = host.mountTable();
  const same = table.filter((mount) => mount.type === "tmpfs" && !mount.deleted && shows(mount, seen));
  if (same.length === 0) return undefined;
  const roots = rootsThatBind?.(entry.path) ?? [];
  const inside = same.filter(({ id, target }) =>
    roots.some((root) => target.startsWith(`${root}/`)) &&
    // Neither covered, nor below something that is.
    topMount(table, target)?.id === id && host.mountIdAt(target) === BigInt(id)
  );
  return inside.find(({ options }) => options.includes("rw")) ?? inside[0];
}

function shows({ device, root }: MountEntry, seen: Seen): boolean {
  return device === seen.device && root === seen.root;
}

/** The kernel gives the number of a file system in memory that is gone to the next one. */
function isOfOthers(actual: ActualWorld, entry: Entry, seen: Seen): boolean {
  for (const other of [...actual.volumes.values(), ...actual.devices.values()]) {
    if (other === entry) continue;
    for (const place of other.places) if (place.seen?.device === seen.device) return true;
  }
  return false;
}
