/** Mounts of snapshots: how one that is a directory is shown, and which a mount table shows. Pure. */
import type { Mount } from "../../runtime/core/mount.ts";
import type { MountEntry } from "../../runtime/core/mountinfo.ts";

/** A mount of a snapshot. */
export interface SnapshotMount {
  /**
   * Id of the snapshot, or for a bind mount of the snapshot whose tree is mounted (a view of one layer is a bind of
   * that layer).
   */
  readonly id: number;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A bind mount that cannot be written through. */
export function readOnlyBind(source: string): Mount {
  return { type: "bind", source, target: "", options: ["bind", "ro"] };
}

/** Name of a snapshot's directory: its id in base 36, so that long chains fit the kernel's page of mount options. */
export function directoryName(id: number): string {
  return id.toString(36);
}

/** The id behind a directory's name; `undefined` for a name that no snapshot has. */
export function idOfDirectory(name: string): number | undefined {
  const id = /^[1-9a-z][0-9a-z]{0,9}$/.test(name) ? parseInt(name, 36) : NaN;
  return Number.isSafeInteger(id) ? id : undefined;
}

/**
 * The mounts that show a snapshot in `layers` (absolute, canonical): overlay mounts by their source, which this
 * project's drivers set to the snapshot's directory, and bind mounts by what they show.
 */
export function snapshotMounts(entries: readonly MountEntry[], layers: string): SnapshotMount[] {
  const home = placeOf(entries, layers);
  const found: SnapshotMount[] = [];
  for (const entry of entries) {
    const bound = home !== undefined && entry.device === home.device;
    const name = entry.type === "overlay" && entry.source.startsWith("/")
      ? nameBelow(entry.source, layers)
      : bound
      ? nameBelow(entry.root, home.path)
      : undefined;
    const id = name === undefined ? undefined : idOfDirectory(name);
    if (id !== undefined) found.push({ id, target: entry.target, readOnly: entry.options.includes("ro") });
  }
  return found;
}

/** Device and path inside its file system of a directory. */
function placeOf(entries: readonly MountEntry[], directory: string): { device: string; path: string } | undefined {
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const holds = entry.target === "/" || entry.target === directory || directory.startsWith(`${entry.target}/`);
    // At equal length the later mount covers the earlier one.
    if (holds && entry.target.length >= (best?.target.length ?? 0)) best = entry;
  }
  if (best === undefined) return undefined;
  const rest = directory.slice(best.target === "/" ? 0 : best.target.length);
  return { device: best.device, path: (best.root === "/" ? "" : best.root) + rest };
}

/** The name directly below `directory` on the way to `path`. */
function nameBelow(path: string, directory: string): string | undefined {
  if (!path.startsWith(`${directory}/`)) return undefined;
  const rest = path.slice(directory.length + 1);
  const slash = rest.indexOf("/");
  return slash < 0 ? rest : rest.slice(0, slash);
}
