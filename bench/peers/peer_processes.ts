/** The peers' daemons on private directories, ended by their own process ids. */
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";

/** A daemon that runs. */
export interface PeerProcess extends AsyncDisposable {
  readonly socket: string;
  readonly pid: number;
  /** Until its socket accepted a connection. */
  readonly ready_ms: number;
}

/** Whether a program is installed. */
export async function isInstalled(program: string): Promise<boolean> {
  return (await runCommand("sh", ["-c", 'command -v "$1"', "sh", program])).code === 0;
}

/** containerd with its directories below `directory`. */
export async function startContainerd(directory: string): Promise<PeerProcess> {
  const socket = join(directory, "c.sock");
  const config = join(directory, "containerd.toml");
  await Deno.mkdir(directory, { recursive: true });
  await Deno.writeTextFile(
    config,
    `version = 2\nroot = "${directory}/root"\nstate = "${directory}/state"\n` +
      `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
  );
  return await start("containerd", ["--config", config], socket, directory);
}

/** dockerd without networks, on its own containerd. */
export async function startDockerd(directory: string): Promise<PeerProcess> {
  const socket = join(directory, "d.sock");
  await Deno.mkdir(directory, { recursive: true });
  const args = ["--data-root", `${directory}/root`, "--exec-root", `${directory}/exec`, "-p", `${directory}/pid`];
  args.push("-H", `unix://${socket}`, "--iptables=false", "--bridge=none", "--storage-driver=overlay2");
  return await start("dockerd", args, socket, directory);
}

async function start(program: string, args: string[], socket: string, directory: string): Promise<PeerProcess> {
  const begun = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", join(directory, `${program}.log`), program, ...args],
    stdin: "null",
  }).spawn();
  const stop = async () => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.kill("SIGTERM");
    await child.status;
    clearTimeout(timer);
  };
  const deadline = begun + 60_000;
  while (!await accepts(socket)) {
    if (performance.now() > deadline) {
      await stop();
      throw new Error(`${program} was not ready within 60 s; see its log in ${directory}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { socket, pid: child.pid, ready_ms: performance.now() - begun, [Symbol.asyncDispose]: stop };
}

async function accepts(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}
