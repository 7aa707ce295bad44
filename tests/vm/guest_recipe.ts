/** How the guest is made of Debian packages: their cloud kernel, a small root file system, Deno. */
import { join } from "@std/path";
import { commandOutput } from "../../runtime/host/command.ts";

/** Packages of the guest, with what needs them. */
const GUEST_PACKAGES: Readonly<Record<string, string>> = {
  "busybox-static": "initramfs, static test programs",
  kmod: "modprobe",
  udev: "device nodes where DM_DISABLE_UDEV is not enough",
  "util-linux": "losetup, blkid, fstrim",
  mount: "mount(8)",
  iproute2: "loopback",
  procps: "ps",
  lvm2: "LVM thin pools",
  dmsetup: "devicemapper driver",
  "thin-provisioning-tools": "thin_check, thin_dump",
  xfsprogs: "xfs on thin devices, project quota",
  e2fsprogs: "ext4",
  "btrfs-progs": "btrfs driver",
  quota: "setquota for ext4 project quota",
  attr: "setfattr",
  acl: "getfacl",
  "libcap2-bin": "setcap",
  "nfs-kernel-server": "NFS volumes",
  "nfs-common": "NFS volumes",
  rpcbind: "NFS volumes",
  tgt: "iSCSI target",
  "open-iscsi": "iSCSI volumes",
  "nbd-client": "nbd",
  fuse3: "FUSE unions",
  "fuse-overlayfs": "rootless overlay",
  mergerfs: "branch unions",
  "unionfs-fuse": "branch unions",
  "erofs-utils": "erofs",
  "squashfs-tools": "squashfs",
};

const here = new URL(".", import.meta.url).pathname;

/** One-line apt sources of this machine with `contrib` added (zfs is there). */
export async function aptSources(): Promise<string> {
  const lines = await commandOutput("apt-get", [
    "indextargets",
    "--format",
    "deb $(REPO_URI) $(RELEASE) $(COMPONENT) contrib",
    "Created-By: Packages",
  ]);
  return [...new Set(lines.split("\n").filter(Boolean))].sort().join("\n") + "\n";
}

/**
 * Makes `vmlinuz`, `initrd` and `root.ext4` in `out`.
 *
 * @param zfsModules A `tar.zst` with stripped zfs modules for this kernel, see `zfs_modules.ts`.
 */
export async function buildGuest(out: string, kernelVersion: string, zfsModules: string | undefined): Promise<void> {
  const root = join(out, "root");
  const sources = join(out, "sources.list");
  await Deno.writeTextFile(sources, await aptSources());
  const packages = [...Object.keys(GUEST_PACKAGES), ...(zfsModules === undefined ? [] : ["zfsutils-linux"])];
  await commandOutput("mmdebstrap", [
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    `--include=${packages.join(",")}`,
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
    "bookworm",
    root,
    sources,
  ], { timeout_ms: 900_000 });
  await addKernel(out, root, kernelVersion, zfsModules);
  await commandOutput("install", ["-D", "-m755", Deno.execPath(), join(root, "usr/local/bin/deno")]);
  await commandOutput("install", ["-m755", join(here, "guest/init.sh"), join(root, "sbin/guest-init")]);
  for (const mountPoint of ["tree", "scratch"]) await Deno.mkdir(join(root, mountPoint));
  await makeInitramfs(out, root, kernelVersion);
  const size_mib = Number((await commandOutput("du", ["-sm", root])).split("\t")[0]) + 400;
  await commandOutput("mke2fs", [
    "-q",
    "-t",
    "ext4",
    "-O",
    "^has_journal",
    "-m0",
    "-d",
    root,
    join(out, "root.ext4"),
    `${size_mib}M`,
  ], { timeout_ms: 300_000 });
  await commandOutput("rm", ["-rf", "--one-file-system", root, sources]);
}

/** The kernel's files only: none of the package's scripts runs. */
async function addKernel(
  out: string,
  root: string,
  kernelVersion: string,
  zfsModules: string | undefined,
): Promise<void> {
  const unpacked = join(out, "kernel");
  await Deno.mkdir(unpacked);
  await commandOutput("apt-get", ["download", "-qq", `linux-image-${kernelVersion}`], {
    cwd: unpacked,
    timeout_ms: 300_000,
  });
  const archive = [...Deno.readDirSync(unpacked)].find((entry) => entry.name.endsWith(".deb"))!.name;
  await commandOutput("dpkg", ["-x", join(unpacked, archive), join(unpacked, "files")]);
  await Deno.rename(join(unpacked, "files/boot", `vmlinuz-${kernelVersion}`), join(out, "vmlinuz"));
  await Deno.mkdir(join(root, "usr/lib/modules"), { recursive: true });
  const modules = join(root, "usr/lib/modules", kernelVersion);
  await Deno.rename(join(unpacked, "files/lib/modules", kernelVersion), modules);
  await commandOutput("rm", ["-rf", unpacked]);
  if (zfsModules !== undefined) {
    await Deno.mkdir(join(modules, "extra"));
    await commandOutput("tar", ["-C", join(modules, "extra"), "-xf", zfsModules]);
  }
  await commandOutput("depmod", ["-b", root, kernelVersion]);
}

async function makeInitramfs(out: string, root: string, kernelVersion: string): Promise<void> {
  const tree = join(out, "initramfs");
  for (const directory of ["bin", "dev", "proc", "modules", "root"]) {
    await Deno.mkdir(join(tree, directory), { recursive: true });
  }
  await Deno.copyFile(join(root, "bin/busybox"), join(tree, "bin/busybox"));
  const order: string[] = [];
  for (const module of ["virtio_pci", "virtio_blk", "virtio_console"]) {
    const shown = await commandOutput("modprobe", ["-d", root, "-S", kernelVersion, "--show-depends", module]);
    for (const [, path] of shown.matchAll(/^insmod (\S+)/gm)) {
      const name = path!.split("/").pop()!;
      if (order.includes(name)) continue;
      order.push(name);
      await Deno.copyFile(path!, join(tree, "modules", name));
    }
  }
  await Deno.writeTextFile(join(tree, "modules/order"), order.join("\n"));
  await commandOutput("install", ["-m755", join(here, "guest/initramfs_init.sh"), join(tree, "init")]);
  await commandOutput("sh", ["-c", 'find . | cpio -o -H newc --quiet > "$1"', "cpio", join(out, "initrd")], {
    cwd: tree,
  });
  await commandOutput("rm", ["-rf", tree]);
}
