/** Whether the mounts of a volume are there, and whether what is there is ours. Pure. */
import type { Mount } from "../../core/mount.ts";
import type { MountEntry } from "../../core/mountinfo.ts";
import { placeInTable } from "../../core/mount_place.ts";

/** The mount that one sees at exactly `target`: the last of those that are stacked there. */
export function topMount(table: readonly MountEntry[], target: string): MountEntry | undefined {
  return table.findLast((entry) => entry.target === target && !entry.deleted);
}

/** The topmost mount of each target at or below `directory`, and of `others`. */
export function topMountsBelow<Entry extends MountEntry>(
  table: readonly Entry[],
  directory: string,
  others: ReadonlySet<string> = new Set(),
): Map<string, Entry> {
  const prefix = `${directory}/`;
  const found = new Map<string, Entry>();
  for (const entry of table) {
    const { target } = entry;
    if (!entry.deleted && (target.startsWith(prefix) || target === directory || others.has(target))) {
      found.set(entry.target, entry);
    }
  }
  return found;
}

/** Whether a mount binds something that is there already. */
export function isBind(mount: Mount): boolean {
  return mount.type === "bind" || mount.type === "rbind" || mount.options.some((o) => o === "bind" || o === "rbind");
}

/** Whether mounts below the source come with it. */
export function isRecursive(mount: Mount): boolean {
  return mount.type === "rbind" || mount.options.includes("rbind");
}

/**
 * Whether a mount of the table is what performing `mount` gives.
 *
 * @param source The mount's source without links.
 */
export function isMadeBy(entry: MountEntry, mount: Mount, source: string, table: readonly MountEntry[]): boolean {
  if (!isBind(mount)) {
    // `nfs` is shown as `nfs4`.
    return entry.type.startsWith(mount.type) && entry.root === "/" && entry.source === mount.source;
  }
  // As the table was before: the mount itself must not be taken for what its source is on.
  const others = table.filter(({ id }) => id !== entry.id);
  const place = placeInTable(others, source);
  return place?.device === entry.device && place.root === entry.root.replace(/\/\/deleted$/, "");
}

/** For a sentence: what is mounted there. */
export function describeMount({ type, source, root }: MountEntry): string {
  return root === "/" ? `${type} of ${source}` : `${root} of ${type} ${source}`;
}

/** Where devices are mounted: those of some plugins lie at places of their own. */
export function devicePaths(devices: Iterable<{ readonly path: string }>): Set<string> {
  return new Set([...devices].map(({ path }) => path));
}
