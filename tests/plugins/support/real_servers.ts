/** Real servers on the loopback of the guest: the kernel's NFS server, and tgt with a disk for iSCSI. */
import { commandOutput, runCommand } from "../../../runtime/host/command.ts";

/** A server that can fall silent. */
export interface NfsServer extends AsyncDisposable {
  /** From now on it answers nobody; what is asked waits. */
  silence(): Promise<void>;
  /** It answers again. */
  speak(): Promise<void>;
}

/** Exports directories to this machine, by NFS 4 alone. */
export async function nfsServer(directories: readonly string[]): Promise<NfsServer> {
  await commandOutput("modprobe", ["-a", "nfsd", "nfs", "nfsv4"]);
  if ((await runCommand("mountpoint", ["-q", "/proc/fs/nfsd"])).code !== 0) {
    await commandOutput("mount", ["-t", "nfsd", "nfsd", "/proc/fs/nfsd"]);
  }
  // After a start a server waits that long for clients which knew it before.
  for (const name of ["nfsv4leasetime", "nfsv4gracetime"]) Deno.writeTextFileSync(`/proc/fs/nfsd/${name}`, "10");
  const exports = directories.map((path, i) => [path, `rw,no_root_squash,insecure,no_subtree_check,fsid=${i + 1}`]);
  for (const [path, options] of exports) await commandOutput("exportfs", ["-i", "-o", options!, `127.0.0.1:${path}`]);
  await runNfsd(4);
  const mountd = background("rpc.mountd", ["-F", "-N", "3"]);
  return {
    silence: () => runNfsd(0),
    speak: () => runNfsd(4),
    async [Symbol.asyncDispose]() {
      for (const [path] of exports) await runCommand("exportfs", ["-u", `127.0.0.1:${path}`]);
      await runCommand("rpc.nfsd", ["0"]);
      await mountd[Symbol.asyncDispose]();
      await runCommand("umount", ["/proc/fs/nfsd"]);
    },
  };
}

/** Clients of a server without threads ask it again and again, as one that is off. */
async function runNfsd(threads: number): Promise<void> {
  await commandOutput("rpc.nfsd", threads === 0 ? ["0"] : ["-N", "3", "-V", "4", String(threads)]);
}

/** A target with the disk 1, a file; with a name and a password also for nobody without them. */
export async function iscsiTarget(
  iqn: string,
  file: string,
  account?: { readonly user: string; readonly password: string },
): Promise<AsyncDisposable> {
  await commandOutput("modprobe", ["-a", "iscsi_tcp", "sd_mod"]);
  await Deno.mkdir("/run/lock/iscsi", { recursive: true });
  await Deno.writeTextFile("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.2001-04.com.example:this-machine\n");
  const stack = new AsyncDisposableStack();
  stack.use(background("iscsid", ["-f"]));
  stack.use(background("tgtd", ["-f"]));
  const tgtadm = (...args: string[]) => commandOutput("tgtadm", ["--lld", "iscsi", ...args]);
  await until(
    "tgtd answers",
    async () => (await runCommand("tgtadm", ["--lld", "iscsi", "--mode", "target", "--op", "show"])).code === 0,
  );
  const target = ["--mode", "target", "--tid", "1"];
  await tgtadm("--op", "new", ...target, "-T", iqn);
  await tgtadm("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", file);
  await tgtadm("--op", "bind", ...target, "-I", "ALL");
  if (account !== undefined) {
    const { user, password } = account;
    await tgtadm("--op", "new", "--mode", "account", "--user", user, "--password", password);
    await tgtadm("--op", "bind", "--mode", "account", "--tid", "1", "--user", user);
  }
  stack.defer(async () => void await runCommand("tgtadm", ["--lld", "iscsi", "--op", "delete", "--force", ...target]));
  return stack;
}

function background(program: string, args: readonly string[]): AsyncDisposable {
  const child = new Deno.Command(program, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await child.status;
    },
  };
}

/** Looks until it is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 120_000;
  while (!await isSo()) {
    if (performance.now() > end) throw new Error(`not within 120 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
