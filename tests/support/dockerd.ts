/** A real Docker engine, to see what it makes of what Lamina gives. */
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";

/** A running dockerd; disposing it ends it and takes its mounts away. */
export interface Dockerd extends AsyncDisposable {
  readonly socket: string;
}

/** dockerd without networks, with everything that it keeps in `directory`. */
export async function startDockerd(directory: string): Promise<Dockerd> {
  await using parts = new AsyncDisposableStack();
  await Deno.mkdir(directory, { recursive: true });
  const socket = join(directory, "d.sock");
  const args = ["--data-root", `${directory}/root`, "--exec-root", `${directory}/exec`, "-p", `${directory}/pid`];
  args.push("-H", `unix://${socket}`, "--iptables=false", "--bridge=none", "--storage-driver=vfs");
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec dockerd "$@" >"$log" 2>&1', "sh", join(directory, "log"), ...args],
    stdin: "null",
  }).spawn();
  parts.defer(async () => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.kill("SIGTERM");
    await child.status;
    clearTimeout(timer);
    await runCommand("umount", ["-q", "-R", `${directory}/root`]);
  });
  for (const deadline = Date.now() + 120_000; !await answers(socket);) {
    if (Date.now() > deadline) {
      throw new Error(`dockerd is not ready: ${await Deno.readTextFile(join(directory, "log"))}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const held = parts.move();
  return { socket, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function answers(socket: string): Promise<boolean> {
  return (await runCommand("docker", ["-H", `unix://${socket}`, "version"])).code === 0;
}
