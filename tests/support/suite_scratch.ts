/** The file system that all test processes of one run share. */
import { runCommand } from "../../runtime/host/command.ts";
import { mountsUnder } from "./machine_state.ts";

/** Where a run's test processes put their files. */
export interface SuiteScratch extends AsyncDisposable {
  /** Short, because unix socket paths below it have 107 bytes at most. */
  readonly path: string;
  /** For the run's first line. */
  readonly description: string;
}

const size = "12G";

/**
 * With root: a journaled ext4 on a sparse file, which lies in memory where there is plenty (tests look at the order of
 * syncs, not at a disk). Without: a plain directory.
 */
export async function suiteScratch(withRoot: boolean): Promise<SuiteScratch> {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "lt" });
  const path = `${base}/s`;
  await Deno.mkdir(path);
  if (!withRoot) return scratch(base, path, "a directory");
  const memory = `${base}/m`;
  await Deno.mkdir(memory);
  try {
    const inMemory = Deno.systemMemoryInfo().available > 14 * 2 ** 30;
    if (inMemory) await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "lamina-test", memory]);
    const image = `${memory}/image`;
    await run("truncate", ["-s", size, image]);
    await run("mkfs.ext4", ["-q", "-F", "-E", "nodiscard", "-N", "1500000", image]);
    await run("mount", ["-o", "loop,noatime,discard", image, path]);
    // What a new file system has in it is no leftover of a test.
    await Deno.remove(`${path}/lost+found`, { recursive: true });
    return scratch(base, path, `ext4 on a loop device, its file ${inMemory ? "in memory" : "on disk"}`);
  } catch (error) {
    await takeAway(base);
    throw error;
  }
}

function scratch(base: string, path: string, description: string): SuiteScratch {
  return { path, description, [Symbol.asyncDispose]: () => takeAway(base) };
}

async function takeAway(base: string): Promise<void> {
  for (const target of (await mountsUnder(base)).reverse()) await run("umount", ["--", target]);
  await run("rm", ["-rf", "--one-file-system", "--", base]);
}

async function run(program: string, args: string[]): Promise<void> {
  const { code, stderr } = await runCommand(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr.trim()}`);
}
