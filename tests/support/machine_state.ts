/** What a test run could leave on the machine, and what it did leave. */
import { parseMountInfo } from "../../runtime/core/mountinfo.ts";

/** The mount table and the loop devices in use. */
export interface MachineState {
  /** `target type source`, one a mount. */
  readonly mounts: readonly string[];
  /** `device backing-file`. */
  readonly loops: readonly string[];
}

/** Reads the state as this process' mount namespace shows it. */
export async function machineState(): Promise<MachineState> {
  const mounts = parseMountInfo(await Deno.readTextFile("/proc/self/mountinfo"))
    .map(({ target, type, source }) => `${target} ${type} ${source}`);
  return { mounts, loops: await loopDevices() };
}

/** What `after` has beyond `before` and what it lacks, as lines for people. */
export function stateDifferences(before: MachineState, after: MachineState): string[] {
  return [
    ...beyond(after.mounts, before.mounts).map((line) => `mount left: ${line}`),
    ...beyond(before.mounts, after.mounts).map((line) => `mount taken away: ${line}`),
    ...beyond(after.loops, before.loops).map((line) => `loop device left: ${line}`),
  ];
}

/** The mounts at `directory` or below it, topmost last. */
export async function mountsUnder(directory: string): Promise<string[]> {
  return parseMountInfo(await Deno.readTextFile("/proc/self/mountinfo"))
    .map(({ target }) => target)
    .filter((target) => target === directory || target.startsWith(`${directory}/`));
}

/** The processes that have `NAME=value` in their environment, with their command lines. */
export async function processesWith(name: string, value: string): Promise<Array<{ pid: number; command: string }>> {
  const found: Array<{ pid: number; command: string }> = [];
  for await (const { name: entry } of Deno.readDir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    try {
      const environment = await Deno.readTextFile(`/proc/${pid}/environ`);
      if (!environment.split("\0").includes(`${name}=${value}`)) continue;
      const command = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
      found.push({ pid, command });
    } catch { /* ended meanwhile, or another user's */ }
  }
  return found;
}

function beyond(lines: readonly string[], known: readonly string[]): string[] {
  const rest = new Map<string, number>();
  for (const line of known) rest.set(line, (rest.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = rest.get(line) ?? 0;
    rest.set(line, count - 1);
    return count <= 0;
  });
}

async function loopDevices(): Promise<string[]> {
  const loops: string[] = [];
  try {
    for await (const { name } of Deno.readDir("/sys/block")) {
      if (!name.startsWith("loop")) continue;
      try {
        loops.push(`${name} ${(await Deno.readTextFile(`/sys/block/${name}/loop/backing_file`)).trim()}`);
      } catch { /* not in use */ }
    }
  } catch { /* no block devices to be seen */ }
  return loops.sort();
}
