/** The zfs kernel module for the guest, built by Debian's zfs-dkms in a chroot and cached by kernel version. */
import { join } from "@std/path";
import { commandOutput } from "../../runtime/host/command.ts";
import { isThere } from "../../runtime/host/is_there.ts";
import { guestKernelVersion } from "./guest_image.ts";
import { aptSources } from "./guest_recipe.ts";
import { lockOf, ZFS_BUILD_PREFIX, zfsArchive } from "./prune_cache.ts";

/**
 * A `tar.zst` (about 2 MB) with the stripped modules. Building takes 5 to 12 minutes on two cores, once per kernel.
 *
 * @param cache Directory for the result.
 * @param say Told each step in a line.
 */
export async function ensureZfsModules(cache: string, say: (line: string) => void): Promise<string> {
  const kernelVersion = await guestKernelVersion();
  const archive = zfsArchive(cache, kernelVersion);
  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(lockOf(archive), { create: true, write: true });
  await lock.lock(true);
  if (await isThere(archive)) return archive;
  const work = await Deno.makeTempDir({ dir: cache, prefix: ZFS_BUILD_PREFIX });
  try {
    say(`building the zfs module for kernel ${kernelVersion} (5 to 12 minutes; cached)`);
    await build(work, kernelVersion, archive);
  } finally {
    await commandOutput("rm", ["-rf", "--one-file-system", work]);
  }
  return archive;
}

async function build(work: string, kernelVersion: string, archive: string): Promise<void> {
  const root = join(work, "root");
  const sources = join(work, "sources.list");
  await Deno.writeTextFile(sources, await aptSources());
  await commandOutput("mmdebstrap", [
    "--quiet",
    "--mode=root",
    "--variant=apt",
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    `--include=linux-headers-${kernelVersion},zfs-dkms,build-essential,kmod,zstd`,
    "bookworm",
    root,
    sources,
  ], { timeout_ms: 1_800_000, env: { DEBIAN_FRONTEND: "noninteractive" } });
  const script = `
    set -e
    version=$(dpkg-query -W -f '\${Version}' zfs-dkms | sed 's/-.*//')
    built=/var/lib/dkms/zfs/$version/${kernelVersion}/x86_64/module
    [ -d "$built" ] || nice -n 10 dkms build -m zfs -v "$version" -k ${kernelVersion}
    mkdir /out
    cp "$built"/*.ko* /out/
    cd /out
    for module in *.ko.xz; do [ ! -e "$module" ] || xz -d "$module"; done
    strip --strip-debug *.ko
    tar -c *.ko | zstd -q -19 -o /modules.tar.zst`;
  await commandOutput("chroot", [root, "sh", "-c", script], { timeout_ms: 1_800_000 });
  await Deno.rename(join(root, "modules.tar.zst"), `${archive}.new`);
  await Deno.rename(`${archive}.new`, archive);
}
