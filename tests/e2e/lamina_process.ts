/** Lamina as a person meets it: a daemon process and a command line, from source or compiled. */
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { project } from "../architecture/sources.ts";

/** A running daemon on a root of its own, and its command line. */
export interface LaminaProcess extends AsyncDisposable {
  readonly root: string;
  readonly socket: string;
  /** Process id of the daemon. */
  readonly pid: number;
  /** From the start of the process to its first answer. */
  readonly ready_ms: number;
  /** Runs `lamina ARGS` and returns what it printed. Throws what it said when its status is not 0. */
  lamina(...args: string[]): Promise<string>;
  /** Asks the API. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Ends the daemon as a service manager would and waits for it. */
  stop(): Promise<Deno.CommandStatus>;
}

/** The command that starts Lamina: the source, or a compiled binary. */
export function laminaCommand(binary?: string): [string, ...string[]] {
  if (binary !== undefined) return [binary];
  const config = ["--config", join(project, "deno.json")];
  return [Deno.execPath(), "run", "-A", "--no-check", "--quiet", ...config, join(project, "runtime/main.ts")];
}

/**
 * Starts a daemon and waits until it answers.
 *
 * @param directory Absolute; holds the root, the socket and the log. Short: the socket's path has 107 bytes at most.
 */
export async function startLamina(
  directory: string,
  options: { binary?: string; serveArgs?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): Promise<LaminaProcess> {
  const root = join(directory, "root");
  const socket = join(directory, "run/lamina.sock");
  const log = join(directory, "daemon.log");
  const env = { ...options.env, LAMINA_ROOT: root, LAMINA_SOCKET: socket, RUST_BACKTRACE: "0" };
  const command = laminaCommand(options.binary);
  const serve = [...command, "serve", "--root", root, "--socket", socket, ...options.serveArgs ?? []];
  const begun = performance.now();
  // The shell gives the daemon a file to write to, so that nobody has to drain a pipe, and becomes the daemon.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, ...serve],
    env,
    stdin: "null",
  }).spawn();
  let ended: Deno.CommandStatus | undefined;
  child.status.then((status) => ended = status);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const request = (path: string, init: RequestInit = {}) => fetch(`http://lamina${path}`, { ...init, client });
  const stop = async () => {
    if (ended === undefined) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const status = await child.status;
    clearTimeout(timer);
    client.close();
    return status;
  };
  try {
    await untilReady(request, () => ended !== undefined);
  } catch (error) {
    await stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n${await Deno.readTextFile(log)}`);
  }
  const ready_ms = performance.now() - begun;
  const [program, ...prefix] = command;
  return {
    root,
    socket,
    pid: child.pid,
    ready_ms,
    async lamina(...args) {
      const { code, stdout, stderr } = await runCommand(program, [...prefix, ...args], { env });
      if (code !== 0) throw new Error(`lamina ${args.join(" ")} ended with ${code}: ${stderr.trim()}`);
      return stdout;
    },
    request,
    stop,
    async [Symbol.asyncDispose]() {
      if (ended === undefined) await stop();
    },
  };
}

async function untilReady(request: (path: string) => Promise<Response>, ended: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    if (ended()) throw new Error("the daemon ended instead of getting ready");
    try {
      const response = await request("/v1/info");
      await response.body?.cancel();
      if (response.ok) return;
    } catch { /* not listening yet */ }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("the daemon was not ready within 30 s");
}
