/**
 * The Debian packages that the demo, the tests and the benchmarks need, each with the reason. The one place that
 * installs anything.
 */
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { isLaminaError } from "../../runtime/core/errors.ts";
import { bold, say } from "./say.ts";

/** What packages are for. */
export type Purpose = "demo" | "test" | "vm" | "bench" | "peers";

interface PackageNeed {
  readonly name: string;
  readonly reason: string;
  readonly purposes: readonly Purpose[];
  /** Architectures (Debian's names) on which it is needed; absent: all. */
  readonly only?: readonly string[];
}

/** Every package, alphabetically. */
export const PACKAGES: readonly PackageNeed[] = [
  { name: "acl", reason: "setfacl: ACLs in layers", purposes: ["test"] },
  { name: "attr", reason: "setfattr, getfattr: extended attributes in layers", purposes: ["test"] },
  { name: "btrfs-progs", reason: "mkfs.btrfs: a root with reflinks", purposes: ["test", "bench"] },
  { name: "busybox-static", reason: "a static program to make images of", purposes: ["demo", "test", "vm", "bench"] },
  { name: "containerd", reason: "a peer to measure beside", purposes: ["peers"] },
  { name: "cpio", reason: "packs the guest's first files", purposes: ["test", "vm"] },
  { name: "crun", reason: "runs an OCI bundle on a Lamina rootfs", purposes: ["test"] },
  {
    name: "docker.io",
    reason: "the docker command line, a client of ours; a peer to measure beside",
    purposes: ["test", "peers"],
  },
  { name: "e2fsprogs", reason: "mkfs.ext4: the journaled scratch file system", purposes: ["test", "vm", "bench"] },
  { name: "erofs-utils", reason: "mkfs.erofs: the project as the guest's disk", purposes: ["test", "vm"] },
  { name: "fish", reason: "reads its completions", purposes: ["test"] },
  {
    name: "fuse-overlayfs",
    reason: "the aufs driver and rootless overlay without the kernel",
    purposes: ["test", "bench"],
  },
  { name: "fuse3", reason: "mount.fuse: how mount(8) starts FUSE programs", purposes: ["test", "bench"] },
  { name: "kmod", reason: "depmod, modprobe: the guest's modules", purposes: ["test", "vm"] },
  { name: "libc6-arm64-cross", reason: "runs the arm64 binary", purposes: ["test"], only: ["amd64"] },
  { name: "libgcc-s1-arm64-cross", reason: "runs the arm64 binary", purposes: ["test"], only: ["amd64"] },
  { name: "libcap2-bin", reason: "setcap: file capabilities in layers", purposes: ["test"] },
  { name: "mergerfs", reason: "unions with read-only branches on top", purposes: ["test"] },
  { name: "mmdebstrap", reason: "builds a real Debian image, the guest", purposes: ["test", "vm", "bench", "peers"] },
  { name: "mount", reason: "mount(8), umount(8), losetup(8)", purposes: ["demo", "test", "bench", "peers"] },
  { name: "podman", reason: "a peer to measure beside", purposes: ["peers"] },
  {
    name: "qemu-system-x86",
    reason: "the guest for what this kernel lacks",
    purposes: ["test", "vm"],
    only: ["amd64"],
  },
  { name: "qemu-user-static", reason: "runs the arm64 binary", purposes: ["test"], only: ["amd64"] },
  { name: "skopeo", reason: "another engine's reader and writer of images", purposes: ["test", "peers"] },
  { name: "umoci", reason: "another engine's unpacking of layers to compare with", purposes: ["test"] },
  { name: "unionfs-fuse", reason: "unions with writable branches in between", purposes: ["test"] },
  { name: "util-linux", reason: "unshare(1), setsid(1)", purposes: ["demo", "test", "bench", "peers"] },
  { name: "xfsprogs", reason: "mkfs.xfs: a root without d_type", purposes: ["test"] },
  { name: "zsh", reason: "reads its completions", purposes: ["test"] },
  { name: "zstd", reason: "zstd(1): compressed layers", purposes: ["test", "vm", "bench", "peers"] },
];

/**
 * Installs what is missing for a purpose and says so. Without root, or on a system that is not Debian's, it says what
 * is missing and goes on: what needs it will say so again.
 *
 * @throws `INTERNAL` with apt-get's own words when an installation fails.
 */
export async function ensurePackages(purpose: Purpose): Promise<void> {
  const wanted = wantedPackages(purpose);
  const installed = await installedPackages(wanted.map(({ name }) => name));
  if (installed === undefined) {
    say(`This is not a Debian system: please install what these packages hold: ${wanted.map((p) => p.name).join(" ")}`);
    return;
  }
  const missing = wanted.filter(({ name }) => !installed.has(name));
  if (missing.length === 0) return;
  if (Deno.uid() !== 0) {
    say(`Not installed, and without root not to be installed: ${missing.map((p) => p.name).join(" ")}`);
    return;
  }
  say(bold("Installing Debian packages:"));
  const width = Math.max(...missing.map(({ name }) => name.length));
  for (const { name, reason } of missing) say(`  ${name.padEnd(width)}  ${reason}`);
  await aptGet(["update"]);
  await aptGet(["install", "--yes", "--no-install-recommends", ...missing.map(({ name }) => name)]);
}

function wantedPackages(purpose: Purpose): readonly PackageNeed[] {
  const architecture = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
  return PACKAGES.filter((p) => p.purposes.includes(purpose) && (p.only?.includes(architecture) ?? true));
}

/** Those of `names` that are installed; `undefined` without dpkg. */
async function installedPackages(names: readonly string[]): Promise<Set<string> | undefined> {
  try {
    // Its status is 1 when it does not know one of the names: what it prints is right all the same.
    const { stdout } = await runCommand("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names]);
    return new Set(stdout.split("\n").filter((line) => line.endsWith(" installed")).map((line) => line.split(" ")[0]!));
  } catch (error) {
    if (isLaminaError(error, "UNSUPPORTED")) return undefined;
    throw error;
  }
}

async function aptGet(args: readonly string[]): Promise<void> {
  await commandOutput("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
    timeout_ms: 900_000,
  });
}
