/** Which of a container's mounts the kernel's table shows. Pure. */
import type { MountEntry } from "../core/mountinfo.ts";
import type { TablePlace } from "../core/mount_place.ts";
import type { PlannedMount } from "./mount_plan.ts";

export { placeInTable } from "../core/mount_place.ts";

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
