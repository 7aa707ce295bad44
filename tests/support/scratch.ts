/**
 * Where tests put their files: directories on a journaled file system of their own, because a test must neither depend
 * on the machine's root file system nor leave anything on it.
 *
 * The file system is a loop ext4 (a tmpfs where loop devices are missing), made once per test module, or once for all
 * by the runner, which then names it in `LAMINA_TEST_SCRATCH`. A small shell outlives the tests and takes everything
 * away when they end, however they end.
 */
import { runCommand } from "../../runtime/host/command.ts";
import { parseMountInfo } from "../../runtime/core/mountinfo.ts";
import type { Operation } from "../../runtime/core/operation.ts";

/** Whether the tests may mount. */
export const isRoot = Deno.uid() === 0;

/** A test that needs root on a real kernel; without root it is ignored and its name says why. */
export function rootTest(name: string, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  Deno.test({
    name: isRoot ? name : `${name} (ignored: needs root)`,
    ignore: !isRoot,
    // The shell that cleans up lives longer than the test that happened to start it.
    sanitizeResources: false,
    sanitizeOps: false,
    fn,
  });
}

/** A test without mounts that is the first to call into the C library: what is looked up there stays loaded. */
export function libcTest(name: string, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  Deno.test({ name, sanitizeResources: false, fn });
}

/** An operation with the patience of a test. */
export function testOperation(timeout_ms = 900_000): Operation {
  return { signal: AbortSignal.timeout(timeout_ms), progress: () => {} };
}

/** A directory that goes away with everything in it and on it. */
export interface ScratchDirectory extends AsyncDisposable {
  /** Absolute and canonical. */
  readonly path: string;
}

/** A fresh directory (0700) on the scratch file system. */
export async function scratchDirectory(): Promise<ScratchDirectory> {
  fileSystem ??= scratchFileSystem();
  const path = await Deno.realPath(await Deno.makeTempDir({ dir: await fileSystem, prefix: "t" }));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await unmountBelow(path);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Detaches every mount at `directory` or below it, topmost first. */
export async function unmountBelow(directory: string): Promise<void> {
  const targets = parseMountInfo(await Deno.readTextFile("/proc/self/mountinfo"))
    .map((entry) => entry.target)
    .filter((target) => target === directory || target.startsWith(`${directory}/`));
  for (const target of targets.reverse()) await runCommand("umount", ["-l", "-c", "--", target]);
}

const prepared = Deno.env.get("LAMINA_TEST_SCRATCH") || undefined;
// Short, because unix socket paths below it have 107 bytes at most.
const name = `lamina-test-${crypto.randomUUID().slice(0, 8)}`;
const base = `/tmp/${name}`;
const images = [`/dev/shm/${name}.img`, `${base}/image`];
// Started here and not by the first test, so that it is no leak of that test.
if (prepared === undefined) cleanWhenTheTestsEnd();
let fileSystem: Promise<string> | undefined;

async function scratchFileSystem(): Promise<string> {
  if (prepared !== undefined) return prepared;
  const target = `${base}/fs`;
  await Deno.mkdir(target, { recursive: true });
  if (!isRoot) return target;
  // The image lies in memory where there is plenty: what is tested is the order of syncs, not the disk.
  const image = images[await memoryIsPlenty() ? 0 : 1]!;
  const steps: Array<[string, string[]]> = [
    ["truncate", ["-s", "8G", image]],
    ["mkfs.ext4", ["-q", "-F", "-E", "nodiscard", "-N", "600000", image]],
    ["mount", ["-o", "loop,noatime,discard", image, target]],
  ];
  for (const [program, args] of steps) {
    const { code, stderr } = await runCommand(program, args).catch((error) => ({ code: -1, stderr: String(error) }));
    if (code === 0) continue;
    const { code: fallback } = await runCommand("mount", ["-t", "tmpfs", "-o", "size=4g", "scratch", target]);
    if (fallback !== 0) throw new Error(`cannot make a scratch file system: ${program}: ${stderr}`);
    break;
  }
  return target;
}

async function memoryIsPlenty(): Promise<boolean> {
  const { code, stdout } = await runCommand("df", ["-B1", "--output=fstype,avail", "/dev/shm"]);
  const [type, available_bytes] = (stdout.trim().split("\n")[1] ?? "").trim().split(/\s+/);
  return code === 0 && type === "tmpfs" && Number(available_bytes) > 10 * 2 ** 30;
}

/** Its input ends when this process or its test module does, be it by SIGKILL. */
function cleanWhenTheTestsEnd(): void {
  // Again, because a mount(8) that was on its way when the process was killed may come after the first look.
  const script = `trap '' INT TERM HUP; read -r _; for _ in 1 2 3 4 5; do umount -l "$1/fs" 2>/dev/null; ` +
    `rm -rf --one-file-system -- "$@" 2>/dev/null; [ -e "$1" ] || break; sleep 0.2; done`;
  const child = new Deno.Command("setsid", {
    args: ["sh", "-c", script, "sh", base, ...images],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  child.unref();
}
