/** What lies in the cache of guests, and what of it nobody will use again. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";

/** Begins the name of the directory in which the zfs module is being built. */
export const ZFS_BUILD_PREFIX = "zfs-build-";

/** Name of an image's directory. */
export function imageName(key: string): string {
  return `guest-${key}`;
}

/** The file whose lock is held shared by who uses an image or archive, and exclusively by who makes or deletes it. */
export function lockOf(path: string): string {
  return `${path}.lock`;
}

/** Path of the archive with the zfs modules of a kernel. */
export function zfsArchive(cache: string, kernelVersion: string): string {
  return join(cache, `zfs-${kernelVersion}.tar.zst`);
}

/** What is current. */
export interface CurrentCache {
  readonly kernelVersion: string;
  /** Of the images that are made of the recipe as it is. */
  readonly keys: readonly string[];
}

/** Something to delete. */
export interface Stale {
  readonly name: string;
  /** What must not be locked by anybody: the name of an image or archive. */
  readonly of: string;
}

/** Which of these names are of another recipe or kernel, or were left half made. What has another form is not ours. Pure. */
export function staleNames(names: readonly string[], { kernelVersion, keys }: CurrentCache): Stale[] {
  const archive = zfsArchive("", kernelVersion);
  return names.flatMap((name): Stale[] => {
    const image = /^(guest-[0-9a-f]{16})(\.\d+\.building)?$/.exec(name);
    if (image !== null) {
      const isCurrent = keys.some((key) => imageName(key) === image[1]);
      return isCurrent && image[2] === undefined ? [] : [{ name, of: image[1]! }];
    }
    const modules = /^(zfs-\d+\.\d[\w.-]*\.tar\.zst)(\.new)?$/.exec(name);
    if (modules !== null) return modules[1] === archive && !modules[2] ? [] : [{ name, of: modules[1]! }];
    return name.startsWith(ZFS_BUILD_PREFIX) ? [{ name, of: archive }] : [];
  });
}

/** Deletes what {@linkcode staleNames} says and nobody has locked. */
export async function pruneCache(cache: string, current: CurrentCache): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(cache))).map(({ name }) => name);
  for (const { name, of } of staleNames(names, current)) {
    const lockFile = lockOf(join(cache, of));
    {
      using lock = await Deno.open(lockFile, { create: true, write: true });
      if (!await lock.tryLock(true)) continue;
      await commandOutput("rm", ["-rf", "--one-file-system", "--", join(cache, name)], { timeout_ms: 300_000 });
      // The locks of what is current stay: somebody may be waiting for one.
      const isCurrent = current.keys.map(imageName).includes(of) || of === zfsArchive("", current.kernelVersion);
      if (!isCurrent) await Deno.remove(lockFile);
    }
  }
}
