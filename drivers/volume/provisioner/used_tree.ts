/** Whether a provisioned directory or image is in use somewhere. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { currentMountTable } from "../../../runtime/host/mount_table.ts";
import { refuseShown } from "../sized/image_backing.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";

/** The mounts, other than the one that the directory is on, that show it or something in it. Pure. */
export function bindsOf(entries: readonly MountEntry[], directory: string): MountEntry[] {
  const inside = (path: string, top: string) => path === top || path.startsWith(top === "/" ? "/" : `${top}/`);
  // The last of those with the longest target is what is seen there.
  const home = entries.filter(({ target }) => inside(directory, target))
    .reduce<MountEntry | undefined>((a, b) => a === undefined || b.target.length >= a.target.length ? b : a, undefined);
  if (home === undefined) return [];
  const below = directory.slice(home.target === "/" ? 0 : home.target.length);
  const root = (home.root === "/" ? "" : home.root) + below;
  return entries.filter((entry) => entry !== home && entry.device === home.device && inside(entry.root, root));
}

/** @throws `CONFLICT` naming where a directory is bound, what is mounted in it, or the device that shows an image. */
export function refuseUsed(directory: string): void {
  if (isFile(directory)) return refuseShown(directory);
  const entries = currentMountTable();
  const [user] = [
    ...bindsOf(entries, directory),
    ...entries.filter(({ target }) => target.startsWith(`${directory}/`)),
  ];
  if (user === undefined) return;
  throw new LaminaError("CONFLICT", `Cannot delete ${directory}: it is in use at ${user.target}. Stop what uses it`, {
    details: { path: directory, target: user.target },
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
