/** Compares what is expected to be mounted with the mount table. Pure but for what it notes in the places. */
import type { MountEntry } from "../../core/mountinfo.ts";
import type { Place } from "./actual_world.ts";

/**
 * How the places of a volume or device look:
 * - `whole`: all as they were seen before.
 * - `new`: all are there, and some were seen for the first time: their identity is noted now.
 * - `lost`: one is gone, or covered by something else.
 */
export type Verdict = "whole" | "new" | "lost";

/** @param tops The topmost mount of each target. */
export function verifyPlaces(places: readonly Place[], tops: ReadonlyMap<string, MountEntry>): Verdict {
  let isNew = false;
  for (const place of places) {
    const top = tops.get(place.target);
    if (top === undefined) return "lost";
    if (place.seen === undefined) {
      if (place.mountId !== undefined && BigInt(top.id) !== place.mountId) return "lost";
      isNew = true;
    } else if (place.seen.device !== top.device || place.seen.root !== top.root) return "lost";
    else place.mountId = BigInt(top.id);
  }
  if (!isNew) return "whole";
  for (const place of places) {
    const { device, root } = tops.get(place.target)!;
    place.seen ??= { device, root };
  }
  return "new";
}

/** What a kept root looked like when it was whole. */
export interface RootMemory {
  /** `target device root` of each mount at or below it. */
  readonly mounts: ReadonlySet<string>;
}

/**
 * Whether a root is whole: itself and as many mounts in it as it should have, and none gone of those that were there.
 *
 * @param entries Those at or below the root.
 * @param memory Of an earlier look; absent: this is the first.
 */
export function verifyRoot(
  root: { readonly path: string; readonly mounts: number },
  entries: readonly MountEntry[],
  memory: RootMemory | undefined,
): RootMemory | "lost" {
  const mounts = new Set(entries.map(({ target, device, root }) => `${target} ${device} ${root}`));
  if (!entries.some(({ target }) => target === root.path) || entries.length < root.mounts + 1) return "lost";
  for (const mount of memory?.mounts ?? []) if (!mounts.has(mount)) return "lost";
  return { mounts };
}

/** The mounts of a table by the part of their target that follows `directory`. */
export function groupBelow(table: readonly MountEntry[], directory: string): Map<string, MountEntry[]> {
  const groups = new Map<string, MountEntry[]>();
  const prefix = `${directory}/`;
  for (const entry of table) {
    if (entry.deleted || !entry.target.startsWith(prefix)) continue;
    const end = entry.target.indexOf("/", prefix.length);
    const name = end < 0 ? entry.target.slice(prefix.length) : entry.target.slice(prefix.length, end);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return groups;
}
