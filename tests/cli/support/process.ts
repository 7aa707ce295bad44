/** `lamina` as a process, and small images for it. */
import { join } from "@std/path/posix";
import { type CommandResult, runCommand } from "../../../runtime/host/command.ts";
import { laminaCommand } from "../../e2e/lamina_process.ts";

/** Where a command line finds its root and its daemon. */
export interface Place {
  readonly root: string;
  readonly socket: string;
}

/** The environment of a command line that belongs to `place`. */
export function environment(place: Place): Record<string, string> {
  return { LAMINA_ROOT: place.root, LAMINA_SOCKET: place.socket, RUST_BACKTRACE: "0", NO_COLOR: "1" };
}

/** Runs `lamina ARGS` to its end, whatever its exit code. */
export async function lamina(
  place: Place,
  args: readonly string[],
  options: { stdin?: string; cwd?: string; env?: Record<string, string> } = {},
): Promise<CommandResult> {
  const [program, ...prefix] = laminaCommand();
  return await runCommand(program, [...prefix, ...args], {
    ...options,
    env: { ...environment(place), ...options.env },
    timeout_ms: 60_000,
  });
}

/** Starts `lamina ARGS` with an open standard input. */
export function spawnLamina(place: Place, args: readonly string[]): Deno.ChildProcess {
  const [program, ...prefix] = laminaCommand();
  return new Deno.Command(program, {
    args: [...prefix, ...args],
    env: environment(place),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Writes a rootfs tar below `directory`: a few files, one of them of `size_bytes`, and a link that leads nowhere good. */
export async function writeRootfsTar(directory: string, size_bytes = 1000): Promise<string> {
  const tree = join(directory, "tree");
  await Deno.mkdir(join(tree, "etc"), { recursive: true });
  await Deno.mkdir(join(tree, "srv"));
  await Deno.writeTextFile(join(tree, "etc/motd"), "hello\n");
  await Deno.writeFile(join(tree, "srv/big"), crypto.getRandomValues(new Uint8Array(Math.min(size_bytes, 65536))));
  if (size_bytes > 65536) await Deno.truncate(join(tree, "srv/big"), size_bytes);
  await Deno.symlink("/etc", join(tree, "srv/link"));
  const path = join(directory, "rootfs.tar");
  const { code, stderr } = await runCommand("tar", ["-C", tree, "-cf", path, "."]);
  if (code !== 0) throw new Error(stderr);
  return path;
}

/** Waits until something is so, at most `timeout_ms`. */
export async function until(what: () => Promise<boolean>, timeout_ms = 10_000): Promise<void> {
  const end = performance.now() + timeout_ms;
  while (!await what()) {
    if (performance.now() > end) throw new Error(`did not come true within ${timeout_ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether something is at a path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
