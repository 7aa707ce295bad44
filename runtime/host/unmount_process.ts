/** One run of umount(8) for several targets. */
import type { LaminaError } from "../core/errors.ts";
import { runCommand } from "./command.ts";
import { hostError } from "./errno_errors.ts";
import { isMadeAtOnce, mayHang } from "./file_system_types.ts";
import { errnoOfMessage, unmountError } from "./mount_errors.ts";
import { readMountAt, readMountTableOnce } from "./mount_table.ts";
import { mountUsers } from "./mount_users.ts";

/** A target to be unmounted. */
export interface UnmountJob {
  readonly target: string;
  readonly lazy: boolean;
  readonly force: boolean;
}

const MAX_BATCH = 256;

/** Whether the jobs may share a process. */
export function fitsUnmountBatch(batch: readonly UnmountJob[], group: readonly UnmountJob[]): boolean {
  const { lazy, force } = batch[0]!;
  return batch.length + group.length <= MAX_BATCH && group.every((job) => job.lazy === lazy && job.force === force);
}

/**
 * Whether a target leaves without waiting for a server or for much to be written: nothing of a disk, or a bind whose
 * file system stays mounted elsewhere (the last mount of a disk writes everything out: that is for a process that can be
 * killed). Undefined: nothing is mounted there.
 */
export function unmountsAtOnce({ target, lazy, force }: UnmountJob): boolean | undefined {
  const entry = readMountAt(target);
  if (entry === undefined) return undefined;
  if (mayHang(entry.type) || force) return false;
  return lazy || isMadeAtOnce(entry.type) ||
    readMountTableOnce().some(({ id, device }) => id !== entry.id && device === entry.device);
}

/**
 * Unmounts in the order given and goes on after one that failed.
 *
 * @param local All answer at once: umount(8) may look at them, and then need not read the mount table for each.
 * @returns One error or nothing per job. A target that is no mount point is no error.
 */
export async function runUnmounts(
  program: string,
  jobs: readonly UnmountJob[],
  signal: AbortSignal,
  local = false,
): Promise<ReadonlyArray<LaminaError | undefined>> {
  const { lazy, force } = jobs[0]!;
  const flags = [local ? "-i" : "-c", ...(lazy ? ["-l"] : []), ...(force ? ["-f"] : [])];
  let stderr: string;
  try {
    const result = await runCommand(program, [...flags, "--", ...jobs.map((job) => job.target)], {
      signal,
      silent: true,
    });
    if (result.code === 0) return jobs.map(() => undefined);
    stderr = result.stderr || `umount ended with status ${result.code}`;
  } catch (error) {
    return jobs.map((job) => hostError(error, `Cannot unmount ${job.target}`, { target: job.target }));
  }
  const anySaid = jobs.some((job) => messageFor(stderr, job.target) !== undefined);
  return jobs.map((job) => {
    // Who is not mentioned has succeeded, unless the program failed as a whole.
    const text = messageFor(stderr, job.target) ?? (anySaid ? undefined : stderr);
    const errno = text === undefined ? undefined : errnoOfMessage(text);
    if (text === undefined || errno === "not mounted") return undefined;
    return unmountError(job.target, { errno, text }, errno === "EBUSY" ? mountUsers(job.target) : []);
  });
}

function messageFor(stderr: string, target: string): string | undefined {
  const opening = `umount: ${target}: `;
  const start = stderr.startsWith(opening) ? 0 : stderr.indexOf(`\n${opening}`);
  if (start < 0) return undefined;
  return stderr.slice(start).trimStart().slice(opening.length).split("\numount: ")[0]!.trim();
}
