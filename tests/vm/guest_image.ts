/**
 * The guest in which drivers are tested whose kernel parts the host lacks, built once and cached by content of the
 * recipe, kernel version and Deno version.
 */
import { join } from "@std/path";
import { commandOutput } from "../../runtime/host/command.ts";
import { buildGuest } from "./guest_recipe.ts";
import { imageName, lockOf, pruneCache, zfsArchive } from "./prune_cache.ts";
import { isThere } from "../../runtime/host/is_there.ts";

/** Where a built guest is. */
export interface GuestImage {
  /** Directory with `vmlinuz`, `initrd`, `root.ext4`. */
  readonly directory: string;
  /** E.g. `6.1.0-40-cloud-amd64`. */
  readonly kernelVersion: string;
  /** Whether the zfs module is in it. */
  readonly zfs: boolean;
}

const here = new URL(".", import.meta.url).pathname;

/** Programs of the host that building and booting take; `tests/support/packages.ts` installs them. */
const PROGRAMS = ["qemu-system-x86_64", "mmdebstrap", "mke2fs", "mkfs.erofs", "modprobe", "depmod", "cpio", "apt-get"];

/** Why no guest can be had on this machine; `undefined` where one can. */
export async function whyNoGuest(): Promise<string | undefined> {
  if (Deno.build.arch !== "x86_64") return "the guest is an x86-64 machine with this machine's Deno";
  if (Deno.uid() !== 0) return "needs root to build the guest";
  const script = 'for program; do command -v "$program" >/dev/null || printf "%s " "$program"; done';
  const missing = (await commandOutput("sh", ["-c", script, "sh", ...PROGRAMS])).trim();
  return missing === "" ? undefined : `needs a QEMU guest, and these programs are missing: ${missing}`;
}

/**
 * The guest's image; built when the cache lacks it (about a minute).
 *
 * @param cache Directory for images; made if missing.
 * @param zfsModules A `tar.zst` with stripped zfs modules for this kernel, see `zfs_modules.ts`.
 * @param say Told each step in a line.
 */
export async function ensureGuestImage(
  cache: string,
  zfsModules: string | undefined,
  say: (line: string) => void,
): Promise<GuestImage> {
  const kernelVersion = await guestKernelVersion();
  const key = await recipeKey(kernelVersion, zfsModules);
  const directory = join(cache, imageName(key));
  const image = { directory, kernelVersion, zfs: zfsModules !== undefined };
  // Machines that run from it have its lock.
  if (await isThere(join(directory, "complete"))) return image;
  await Deno.mkdir(cache, { recursive: true });
  // Whoever comes second waits and finds it built.
  using lock = await Deno.open(lockOf(directory), { create: true, write: true });
  await lock.lock(true);
  if (await isThere(join(directory, "complete"))) return image;
  // A new one is wanted because something has changed: what was made before that takes a gigabyte each.
  await pruneCache(cache, { kernelVersion, keys: await currentKeys(cache, kernelVersion) });
  const building = `${directory}.${Deno.pid}.building`;
  await Deno.mkdir(building, { recursive: true });
  try {
    say(`building the guest for kernel ${kernelVersion} (about a minute; cached)`);
    await buildGuest(building, kernelVersion, zfsModules);
    await Deno.writeTextFile(join(building, "complete"), "");
    await Deno.rename(building, directory);
  } finally {
    await Deno.remove(building, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return image;
}

/** Version of Debian's cloud kernel, as the package lists of this machine have it. */
export async function guestKernelVersion(): Promise<string> {
  const depends = await commandOutput("apt-cache", ["depends", "linux-image-cloud-amd64"]);
  const name = depends.match(/Depends: linux-image-(\S+)/)?.[1];
  if (name === undefined) throw new Error("apt-cache knows no linux-image-cloud-amd64; run apt-get update");
  return name;
}

/** Of the images that are made of this recipe: without zfs and with it. */
async function currentKeys(cache: string, kernelVersion: string): Promise<string[]> {
  const archive = zfsArchive(cache, kernelVersion);
  return [await recipeKey(kernelVersion, undefined), await recipeKey(kernelVersion, archive)];
}

async function recipeKey(kernelVersion: string, zfsModules: string | undefined): Promise<string> {
  const parts = [kernelVersion, Deno.version.deno, zfsModules === undefined ? "" : zfsModules.split("/").pop()!];
  for (const file of ["guest_recipe.ts", "guest/init.sh", "guest/initramfs_init.sh"]) {
    parts.push(await Deno.readTextFile(join(here, file)));
  }
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\0")));
  return new Uint8Array(digest).toHex().slice(0, 16);
}
