/** One run of mount(8) for several mounts: what it is told, and what came of each. */
import { LaminaError } from "../core/errors.ts";
import { type CommandResult, runCommand } from "./command.ts";
import { formatFstab, memoryFile } from "./fstab.ts";
import { type MountApiSupport, setMountAttributes } from "./mount_api.ts";
import type { MountOutcome } from "./mount_calls.ts";
import { mountError } from "./mount_errors.ts";
import { makesMount, type MountJob } from "./mount_job.ts";
import { bindRemountFlags, flagsOfStatfs, MS, optionsOfFlags, optionsOfPropagation } from "./mount_options.ts";
import { type MountIdentity, mountIdentityIfThere, openNewMount } from "./mount_table.ts";
import { ErrnoError } from "./libc.ts";
import { fileSystemStatus } from "./disk.ts";
import { hostError } from "./errno_errors.ts";
import { closeFd } from "./fs_calls.ts";

export type { MountJob, MountOutcome };

/** Mounts in one process; the kernel's lock serialises them anyway. */
const MAX_BATCH = 256;

// Newer versions of mount(8) would use calls that take no more than 255 bytes an option.
const env = { LIBMOUNT_FORCE_MOUNT2: "always" };

/** Whether the jobs may share a process: by its directory, and because a target can be answered for once only. */
export function fitsMountBatch(batch: readonly MountJob[], group: readonly MountJob[]): boolean {
  const all = [...batch, ...group];
  const cwds = new Set(all.map((job) => job.cwd).filter((cwd) => cwd !== undefined));
  const linked = all.filter((job) => job.links !== undefined);
  return all.length <= MAX_BATCH && !all.some((job) => job.alone) &&
    (linked.length === 0 || (linked.length === 1 && cwds.size === 0)) && cwds.size <= 1 &&
    new Set(all.map((job) => job.realTarget)).size === all.length;
}

/**
 * Performs jobs that fit together. Goes on after one that failed.
 *
 * @param signal Kills the process.
 */
export async function runMounts(
  program: string,
  jobs: readonly MountJob[],
  support: MountApiSupport,
  signal: AbortSignal,
): Promise<readonly MountOutcome[]> {
  const before = jobs.map((job) => mountIdentityIfThere(job.realTarget));
  const linked = jobs.find((job) => job.links !== undefined);
  const links = linked === undefined ? undefined : await linkDirectory(linked.links!);
  let result: CommandResult | undefined, interrupted: unknown;
  try {
    const cwd = links ?? jobs.find((job) => job.cwd !== undefined)?.cwd;
    result = await mountAll(program, jobs, { cwd, signal });
  } catch (error) {
    interrupted = error;
  } finally {
    if (links !== undefined) await Deno.remove(links, { recursive: true });
  }
  const outcomes: MountOutcome[] = [];
  for (const [at, job] of jobs.entries()) {
    const made = makesMount(job.kind) && isNew(before[at], mountIdentityIfThere(job.realTarget))
      ? job.realTarget
      : undefined;
    outcomes.push(await outcomeOf({ program, support, signal, result, interrupted }, job, made, before[at]));
  }
  return outcomes;
}

function mountAll(
  program: string,
  jobs: readonly MountJob[],
  options: { cwd?: string; signal: AbortSignal },
): Promise<CommandResult> {
  const [job] = jobs;
  switch (job!.kind) {
    case "propagation": {
      const changes = job!.entry.options.map((option) => `--make-${option}`);
      return runCommand(program, ["-c", ...changes, job!.realTarget], { ...options, env, silent: true });
    }
    case "remount":
    case "bind-remount":
      return mountOne(program, job!, options);
    default:
      if (jobs.length === 1) return mountOne(program, job!, options);
      return withFstab(
        jobs,
        (path) => runCommand(program, ["-a", "-c", "-T", path], { ...options, env, silent: true }),
      );
  }
}

/** One entry of an fstab by its target: without a look at the mount table, and also where `mount -a` would pass it. */
function mountOne(
  program: string,
  job: MountJob,
  options: { cwd?: string; signal: AbortSignal },
): Promise<CommandResult> {
  return withFstab(
    [job],
    (path) => runCommand(program, ["-c", "-T", path, job.entry.target], { ...options, env, silent: true }),
  );
}

async function withFstab<T>(jobs: readonly MountJob[], use: (path: string) => Promise<T>): Promise<T> {
  using file = memoryFile(formatFstab(jobs.map((job) => job.entry)));
  return await use(file.path);
}

/** What a run works with, and how it ended. */
interface Run {
  readonly program: string;
  readonly support: MountApiSupport;
  readonly signal: AbortSignal;
  readonly result?: CommandResult;
  readonly interrupted?: unknown;
}

async function outcomeOf(
  run: Run,
  job: MountJob,
  made: string | undefined,
  before: MountIdentity | undefined,
): Promise<MountOutcome> {
  const { result, interrupted } = run;
  if (result === undefined) {
    const error = interrupted instanceof LaminaError && interrupted.code !== "DEADLINE_EXCEEDED"
      ? interrupted
      : mountInterrupted(job, interrupted);
    return { made, error };
  }
  const said = messageFor(result.stderr, job.entry.target);
  const silent = result.code !== 0 && said === undefined &&
    (makesMount(job.kind) ? made === undefined : !mentionsAny(result.stderr));
  if (said !== undefined || silent) {
    const text = said ?? (result.stderr.trim() || `mount ended with status ${result.code} and said nothing`);
    return { made, error: mountError(job.mount, { text }) };
  }
  if (makesMount(job.kind) && made === undefined) {
    // mount -a passes over what it takes for mounted already: the same source at the same place. Told alone it does it.
    return await mountOnTop(run, job, before);
  }
  return { made, error: await finish(run, job, before) };
}

async function mountOnTop(
  run: Run,
  job: MountJob,
  before: MountIdentity | undefined,
): Promise<MountOutcome> {
  const links = job.links === undefined ? undefined : await linkDirectory(job.links);
  let text: string, code: number;
  try {
    const options = { cwd: links ?? job.cwd, signal: run.signal };
    ({ stderr: text, code } = await mountOne(run.program, job, options));
  } finally {
    if (links !== undefined) await Deno.remove(links, { recursive: true });
  }
  const made = isNew(before, mountIdentityIfThere(job.realTarget)) ? job.realTarget : undefined;
  if (code !== 0 || made === undefined) return { made, error: mountError(job.mount, { text }) };
  return { made, error: await finish(run, job, before) };
}

/** The steps after a mount was made that mount(8) could not do. */
async function finish(
  run: Run,
  job: MountJob,
  before: MountIdentity | undefined,
): Promise<LaminaError | undefined> {
  // Before Linux 5.12 only the top becomes read-only, as with mount(8) itself.
  const below = job.recursiveReadOnly && run.support.attributes;
  if (job.later === undefined && !below) return undefined;
  let fd: number | undefined;
  try {
    fd = openNewMount(job.realTarget, before);
    if (job.later !== undefined) {
      const { code, stderr } = await changeMount(run, job, fd);
      if (code !== 0) return mountError(job.mount, { text: stderr });
    }
    if (below) setMountAttributes(fd, { set: MS.RDONLY, recursive: true });
    return undefined;
  } catch (error) {
    if (error instanceof ErrnoError) return mountError(job.mount, { errno: error.errno, cause: error });
    return hostError(error, `Cannot mount ${JSON.stringify(job.mount.source)} on ${job.mount.target}`);
  } finally {
    if (fd !== undefined) closeFd(fd);
  }
}

function changeMount(run: Run, job: MountJob, fd: number): Promise<CommandResult> {
  const { flags, propagation } = job.later!;
  const target = `/proc/${Deno.pid}/fd/${fd}`;
  const existing = flagsOfStatfs(fileSystemStatus(target).flags);
  const changes = optionsOfPropagation(propagation).map((option) => `--make-${option}`);
  if (flags !== 0) {
    // These are flags by name: nothing in them is secret.
    const options = optionsOfFlags(bindRemountFlags({ flags }, existing));
    changes.push("-o", ["remount", "bind", ...options].join(","));
  }
  return runCommand(run.program, ["-c", ...changes, target], { signal: run.signal, env, silent: true });
}

/** Whether a mount came to be between two looks at its target. */
function isNew(before: MountIdentity | undefined, after: MountIdentity | undefined): boolean {
  return after !== undefined && after.isRoot && after.id !== before?.id;
}

function mountInterrupted(job: MountJob, reason: unknown): LaminaError {
  const late = (reason instanceof LaminaError && reason.code === "DEADLINE_EXCEEDED") ||
    (reason instanceof DOMException && reason.name === "TimeoutError");
  const { source, target } = job.mount;
  return new LaminaError(
    late ? "DEADLINE_EXCEEDED" : "CANCELLED",
    `Cannot mount ${JSON.stringify(source)} on ${target}: ` +
      (late
        ? "mount(8) did not end in time and was killed. Its server or device may not answer"
        : "cancelled by the caller"),
    { cause: reason, details: { source, target } },
  );
}

/** What mount(8) said about a target: from `mount: TARGET: ` to the next message. */
function messageFor(stderr: string, target: string): string | undefined {
  const opening = `mount: ${target}: `;
  const start = stderr.startsWith(opening) ? 0 : stderr.indexOf(`\n${opening}`);
  if (start < 0) return undefined;
  const rest = stderr.slice(start + opening.length).trimStart();
  const end = rest.search(/\n(?:mount|umount): |\n\s+dmesg\(1\)/);
  return (end < 0 ? rest : rest.slice(0, end)).trim();
}

function mentionsAny(stderr: string): boolean {
  return /^mount: \//m.test(stderr);
}

/** A fresh directory (0700) with the links `0`, `1`, … in base 36. */
async function linkDirectory(paths: readonly string[]): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "lamina-links-" });
  for (const [at, path] of paths.entries()) await Deno.symlink(path, `${directory}/${at.toString(36)}`);
  return directory;
}
