/** The directories of local volumes: `ROOT/volumes/NAME/_data`. */
import { dirname, join } from "@std/path/posix";
import { LaminaError } from "../core/errors.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { renameDurably, syncDirectory } from "../host/durable.ts";
import { hostError } from "../host/errno_errors.ts";
import { currentMountTable, mountsBelow } from "../host/mount_table.ts";

/** The directory that holds everything of one volume. */
export function volumeDirectory(layout: RootLayout, name: string): string {
  return dirname(layout.volumeData(name));
}

/**
 * Makes the directories of volumes, durably: one sync of `ROOT/volumes` for all. Existing ones stay as they are.
 *
 * @throws `RESOURCE_EXHAUSTED`, `UNAVAILABLE` (read-only), `PERMISSION_DENIED`.
 */
export async function makeVolumeDirectories(layout: RootLayout, names: readonly string[]): Promise<void> {
  try {
    for (const name of names) {
      await makeDirectory(volumeDirectory(layout, name), 0o700);
      // What a container's processes see at the target, so it must not depend on the daemon's umask.
      await makeDirectory(layout.volumeData(name), 0o755);
      await syncDirectory(volumeDirectory(layout, name));
    }
    await syncDirectory(layout.volumes);
  } catch (error) {
    throw hostError(error, `Cannot make the directory of volume ${names.map((n) => `"${n}"`).join(", ")}`);
  }
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await Deno.mkdir(path);
    await Deno.chmod(path, mode);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Takes the directories of a volume away if they are empty. True: they are gone. False: there is data, all is kept. */
export async function removeEmptyVolumeDirectories(layout: RootLayout, name: string): Promise<boolean> {
  for (const path of [layout.volumeData(name), volumeDirectory(layout, name)]) {
    try {
      // Not recursive: rmdir(2), which refuses a directory with anything in it.
      await Deno.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      if (error instanceof Error && "code" in error && error.code === "ENOTEMPTY") return false;
      throw hostError(error, `Cannot undo the making of volume "${name}"`, { path });
    }
  }
  await syncDirectory(layout.volumes);
  return true;
}

/** Whether the volume's data directory is there. */
export async function volumeDirectoryExists(layout: RootLayout, name: string): Promise<boolean> {
  try {
    return (await Deno.stat(layout.volumeData(name))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw hostError(error, `Cannot look at volume "${name}"`);
  }
}

/** @throws `CONFLICT` naming what is mounted in the volume's directory. */
export function refuseMountsInVolume(layout: RootLayout, name: string): void {
  const mounted = mountsBelow(currentMountTable(), volumeDirectory(layout, name));
  if (mounted.length === 0) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot remove volume "${name}": something is mounted at ${mounted[0]!.target}. Unmount it first`,
    { details: { target: mounted[0]!.target } },
  );
}

/**
 * Moves a volume to the trash, durably.
 *
 * @returns where it is now; undefined when there was no directory.
 */
export async function moveVolumeToTrash(layout: RootLayout, name: string): Promise<string | undefined> {
  const trash = join(layout.trash, `volume-${crypto.randomUUID()}`);
  try {
    await renameDurably(volumeDirectory(layout, name), trash);
    return trash;
  } catch (error) {
    if (error instanceof LaminaError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}
