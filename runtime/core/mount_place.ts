/** Where a path is in terms of the mount table. Pure. */
import type { MountEntry } from "./mountinfo.ts";

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
