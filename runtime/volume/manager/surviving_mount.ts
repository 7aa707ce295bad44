/**
 * A volume in memory is in its mounts and nowhere else. When somebody takes the one at its path away, the containers that
 * bind it still have it: that one is bound back, with all that was written, instead of an empty one beside it.
 *
 * Where containers have only parts of it (by a subPath) it cannot be had back as a whole. A new one is made, the parts are
 * copied into it, and the containers get the new one: nobody is left alone with what the others do not see.
 */
import { dirname } from "@std/path/posix";
import type { MountEntry } from "../../core/mountinfo.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { commandOutput } from "../../host/command.ts";
import type { ActualDevice, ActualVolume, ActualWorld, Place } from "./actual_world.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { topMount } from "./presence.ts";

/** Milliseconds for taking back a mount that was only for a moment. */
const UNDO_MS = 20_000;

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

/** What containers still have of a volume that is gone as a whole. */
export interface SurvivingPart {
  /** Below the volume. */
  readonly part: string;
  /** What the kernel says of it. */
  readonly seen: Seen;
  /** Where it is mounted, in the roots of containers. */
  readonly targets: readonly string[];
}

/** Likewise, the outer parts first. */
export function findParts(room: Room, actual: ActualWorld, entry: Entry): SurvivingPart[] {
  const place = entry.places.find(({ target }) => target === entry.path);
  if (place?.seen === undefined || room.host.mountIdAt(entry.path) !== undefined) return [];
  const { device, root } = place.seen;
  const top = root === "/" ? "/" : `${root}/`;
  if (isOfOthers(actual, entry, place.seen)) return [];
  const parts = new Map<string, SurvivingPart & { targets: string[] }>();
  for (
    const mount of visibleInRoots(room, entry, (m) => m.device === device && m.root.startsWith(top) && m.root !== top)
  ) {
    const part = mount.root.slice(top.length);
    const known = parts.get(part);
    if (known !== undefined) known.targets.push(mount.target);
    else parts.set(part, { part, seen: { device, root: mount.root }, targets: [mount.target] });
  }
  return [...parts.values()].sort((a, b) => a.part.length - b.part.length);
}

/** Copies parts into the new volume, and takes the old ones out of the containers: their roots are repaired then. */
export async function bringBackParts(
  { host, mounter }: Room,
  path: string,
  parts: readonly SurvivingPart[],
  { signal }: Operation,
): Promise<void> {
  for (const surviving of parts) {
    const isInside = parts.some(({ part }) => surviving.part.startsWith(`${part}/`));
    if (!isInside) await copyPart({ host, mounter }, surviving, path, signal);
  }
  const targets = parts.flatMap((part) => part.targets);
  await mounter.unmount(targets.sort((a, b) => b.length - a.length), { signal, lazy: true });
}

/** Where a part is held while it is copied: in the volume, so that it goes with it. */
const HELD = ".lamina-part";

async function copyPart(
  { host, mounter }: Pick<Room, "host" | "mounter">,
  { part, seen, targets: [source] }: SurvivingPart,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const kind = await host.kindOf(source!);
  const held = `${path}/${HELD}`;
  host.makePlace(held, kind);
  await mounter.mount([{ type: "bind", source: source!, target: held, options: ["bind", "rprivate"] }], { signal });
  try {
    // The way to it leads through a container's root: whoever is in there may have put something else in its place.
    const made = topMount(host.mountTable(), held);
    if (made === undefined || !shows(made, seen)) {
      throw new LaminaError("CONFLICT", `Cannot copy what is left of ${path}: ${source} is not what it was`, {
        details: { path, failure_class: "transient" },
      });
    }
    const target = `${path}/${part}`;
    host.makePlace(target, kind);
    // Made for root only, as mount points are; whose the directories on the way were nobody knows any more.
    for (let at = dirname(target); at !== path; at = dirname(at)) await Deno.chmod(at, 0o755);
    const [from, to] = kind === "directory" ? [`${held}/.`, `${target}/`] : [held, target];
    await commandOutput("cp", ["-a", "--", from, to], { signal });
  } finally {
    await mounter.unmount([held], { signal: AbortSignal.timeout(UNDO_MS), lazy: true });
    host.removePlace(held);
  }
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
  const inside = visibleInRoots({ host, rootsThatBind }, entry, (mount) => shows(mount, seen));
  return inside.find(({ options }) => options.includes("rw")) ?? inside[0];
}

/** Mounts of memory in the roots of containers that bind this very volume. */
function visibleInRoots(
  { host, rootsThatBind }: Pick<Room, "host" | "rootsThatBind">,
  { path }: Entry,
  fits: (mount: MountEntry) => boolean,
): MountEntry[] {
  const table = host.mountTable();
  const same = table.filter((mount) => mount.type === "tmpfs" && !mount.deleted && fits(mount));
  if (same.length === 0) return [];
  const roots = rootsThatBind?.(path) ?? [];
  return same.filter(({ id, target }) =>
    roots.some((root) => target.startsWith(`${root}/`)) &&
    // Neither covered, nor below something that is.
    topMount(table, target)?.id === id && host.mountIdAt(target) === BigInt(id)
  );
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
