/** Which of a container's mounts the kernel's table shows. Pure. */
import type { MountEntry } from "../core/mountinfo.ts";
import type { PlannedMount } from "./mount_plan.ts";

/** A directory or file as the mount table identifies it: the file system's device, and the path inside of it. */
export interface TablePlace {
  readonly device: string;
  readonly root: string;
}

/** Where `path` (absolute, canonical) is in terms of the table: what a bind mount of it shows as `device` and `root`. */
export function placeInTable(entries: readonly MountEntry[], path: string): TablePlace | undefined {
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const holds = entry.target === "/" || entry.target === path || path.startsWith(`${entry.target}/`);
    // At equal length the later mount covers the earlier one.
    if (holds && entry.target.length >= (best?.target.length ?? 0)) best = entry;
  }
  if (best === undefined) return undefined;
  const rest = path.slice(best.target === "/" ? 0 : best.target.length);
  return { device: best.device, root: `${best.root === "/" ? "" : best.root}${rest}` || "/" };
}

/** What {@linkcode matchMounts} found. */
export interface MatchedMounts {
  /** Indexes of the planned mounts that are there. */
  readonly present: ReadonlySet<number>;
  /** Mounts inside the root that the plan does not explain. */
  readonly foreign: readonly MountEntry[];
}

/**
 * Compares the mounts inside a root with what is planned. They are told by what they show, not by where they are: the
 * links on the way to a target may have changed since.
 *
 * @param entries The mounts below `rootfs` in the table's order; the root's own are skipped.
 * @param sources Place of each planned source; undefined for tmpfs.
 */
export function matchMounts(
  rootfs: string,
  entries: readonly MountEntry[],
  planned: readonly PlannedMount[],
  sources: ReadonlyArray<TablePlace | undefined>,
): MatchedMounts {
  const present = new Set<number>();
  const foreign: MountEntry[] = [];
  /** Below these everything came with the bind. */
  const recursive: string[] = [];
  for (const entry of entries) {
    if (entry.target === rootfs) continue;
    const fits = planned.flatMap(({ mount }, i) => {
      const same = mount.type === "tmpfs"
        ? entry.type === "tmpfs" && entry.root === "/" && entry.source === mount.source
        : sources[i]?.device === entry.device && sources[i]?.root === entry.root.replace(/\/\/deleted$/, "");
      return same ? [i] : [];
    });
    // The same volume may be mounted twice: each mount explains one, the one that lies where it was asked for first.
    const free = fits.filter((i) => !present.has(i));
    const index = free.find((i) => `${rootfs}${planned[i]!.target}` === entry.target) ?? free[0] ?? fits[0];
    if (index !== undefined) {
      present.add(index);
      if (planned[index]!.recursive) recursive.push(`${entry.target}/`);
    } else if (!recursive.some((prefix) => entry.target.startsWith(prefix))) {
      foreign.push(entry);
    }
  }
  return { present, foreign };
}
