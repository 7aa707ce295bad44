/** Mounts through mount(8) and umount(8), several in one process: the default and the reference. */
import { LaminaError, messageOf } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import { BatchLane } from "./batch_lane.ts";
import { hostError } from "./errno_errors.ts";
import { isMadeAtOnce } from "./file_system_types.ts";
import { type MountApiSupport, mountApiSupport } from "./mount_api.ts";
import { mountNow } from "./mount_calls.ts";
import { mountSteps } from "./mount_options.ts";
import { fitsMountBatch, type MountJob, type MountOutcome, runMounts } from "./mount_process.ts";
import { pathMayHang } from "./mount_source.ts";
import { readMountTableOnce } from "./mount_table.ts";
import type { Mounter, MountOptions, UnmountOptions } from "./mounter.ts";
import { prepareMountJob } from "./mount_job.ts";
import { fitsUnmountBatch, runUnmounts, type UnmountJob, unmountsAtOnce } from "./unmount_process.ts";

/** Milliseconds that a call has when it does not say otherwise. */
export const DEFAULT_TIMEOUT_MS = 60_000;

/** Each unmount waits milliseconds in the kernel until no other processor looks at the mount table: they wait together. */
const UNMOUNT_PROCESSES = 4;

/** Programs that stand in for the real ones. */
export interface MountPrograms {
  /** Default `mount`. */
  readonly mount: string;
  /** Default `umount`. */
  readonly umount: string;
}

/**
 * {@linkcode Mounter} on util-linux.
 *
 * Mounts that are made at once (bind, overlay, tmpfs, …) share processes, with those of other calls too: what is asked
 * for while one process runs goes into the next. What may wait for a device or a server has a process of its own, which
 * its caller's signal kills, so that one stuck volume blocks nobody. No option ever stands in an argument list.
 */
export class CommandMounter implements Mounter {
  readonly name = "command";
  readonly #programs: MountPrograms;
  readonly #support: MountApiSupport;
  readonly #mounts: BatchLane<MountJob, MountOutcome>;
  readonly #unmounts: BatchLane<UnmountJob, LaminaError | undefined>;

  /**
   * @param programs Default: those on the path.
   * @param support What the kernel can do; default asked from it.
   */
  constructor(programs: Partial<MountPrograms> = {}, support: MountApiSupport = mountApiSupport()) {
    this.#programs = { mount: "mount", umount: "umount", ...programs };
    this.#support = support;
    this.#mounts = new BatchLane((jobs) => this.#run(jobs, shared()), fitsMountBatch);
    this.#unmounts = new BatchLane(
      (jobs) => runUnmounts(this.#programs.umount, jobs, shared(), true),
      fitsUnmountBatch,
      UNMOUNT_PROCESSES,
    );
  }

  /** See {@linkcode Mounter.mount}. */
  async mount(mounts: readonly Mount[], options: MountOptions): Promise<void> {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout_ms ?? DEFAULT_TIMEOUT_MS)]);
    // All that is wrong with the call itself is found before anything is done.
    mounts.forEach(mountSteps);
    const made: string[] = [];
    try {
      for (let at = 0; at < mounts.length;) {
        signal.throwIfAborted();
        const jobs = await this.#nextGroup(mounts, at, signal);
        const outcomes = await this.#perform(jobs, signal);
        for (const outcome of outcomes) if (outcome.made !== undefined) made.push(outcome.made);
        const failed = outcomes.find((outcome) => outcome.error !== undefined);
        if (failed !== undefined) throw failed.error;
        at += jobs.length;
      }
      signal.throwIfAborted();
    } catch (error) {
      const failure = hostError(error, `Cannot mount ${mounts.map((mount) => mount.target).join(", ")}`);
      throw await this.#undo(made, failure);
    }
  }

  /** See {@linkcode Mounter.unmount}. */
  async unmount(targets: readonly string[], options: UnmountOptions): Promise<void> {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout_ms ?? DEFAULT_TIMEOUT_MS)]);
    const errors: LaminaError[] = [];
    try {
      signal.throwIfAborted();
      // In the order given: a run of targets that leave at once is one group, each of the others is its own.
      let group: UnmountJob[] = [];
      const flush = async () => {
        const jobs = group;
        group = [];
        if (jobs.length > 0) errors.push(...(await this.#unmounts.submit(jobs, signal)).filter(isError));
      };
      for (const target of targets) {
        const job = { target, lazy: options.lazy ?? false, force: options.force ?? false };
        const atOnce = unmountsAtOnce(job);
        if (atOnce === undefined) continue;
        if (atOnce) group.push(job);
        else {
          await flush();
          errors.push(...(await runUnmounts(this.#programs.umount, [job], signal)).filter(isError));
        }
      }
      await flush();
      signal.throwIfAborted();
    } catch (error) {
      errors.push(hostError(error, `Cannot unmount ${targets.join(", ")}`));
    }
    if (errors.length > 0) throw oneError(errors);
  }

  /** The longest run of mounts from `at` on that can share a process, prepared. */
  async #nextGroup(mounts: readonly Mount[], at: number, signal: AbortSignal): Promise<MountJob[]> {
    const hangs = hangingPaths();
    const jobs: MountJob[] = [];
    for (const mount of mounts.slice(at)) {
      // A bind of something below an earlier target must see what that mount brought.
      if (jobs.some((job) => isBelow(mount.source, job.realTarget))) break;
      const alone = !isMadeAtOnce(mount.type) || (isBind(mount) && hangs(mount.source));
      if (alone && jobs.length > 0) break;
      const job = await prepareMountJob(mount, alone, signal);
      const single = job.alone || this.#isMadeDetached(job);
      if (jobs.length > 0 && (single || !fitsMountBatch(jobs, [job]))) break;
      jobs.push(job);
      if (single) break;
    }
    return jobs;
  }

  async #perform(jobs: readonly MountJob[], signal: AbortSignal): Promise<readonly MountOutcome[]> {
    const [job] = jobs;
    if (this.#isMadeDetached(job!)) return [mountNow(job!.mount, job!.realTarget, this.#support)];
    return await (jobs[0]!.alone ? this.#run(jobs, signal) : this.#mounts.submit(jobs, signal));
  }

  #run(jobs: readonly MountJob[], signal: AbortSignal): Promise<readonly MountOutcome[]> {
    return runMounts(this.#programs.mount, jobs, this.#support, signal);
  }

  /**
   * A bind with options onto a descriptor: mount(8) cannot give them to what it has mounted there, the newer calls
   * can, and without a moment in which a read-only bind is writable. Not where the source may hang: a call cannot be
   * killed.
   */
  #isMadeDetached(job: MountJob): boolean {
    return job.later !== undefined && job.kind === "bind" && !job.alone && this.#support.attributes;
  }

  /** Takes away what the failed call made; returns the error to throw. */
  async #undo(made: readonly string[], failure: LaminaError): Promise<LaminaError> {
    if (made.length === 0) return failure;
    // Lazily: nobody was told of these mounts yet, so whoever is in them does not count.
    const jobs = made.toReversed().map((target) => ({ target, lazy: true, force: false }));
    const errors = (await runUnmounts(this.#programs.umount, jobs, shared())).filter(isError);
    if (errors.length === 0) return failure;
    const left = errors.map(messageOf).join("; ");
    return new LaminaError(
      failure.code,
      `${failure.message}. What was mounted could not be taken away again: ${left}`,
      {
        cause: failure.cause,
        details: failure.details,
      },
    );
  }
}

/** The patience of a process that serves several calls, or cleans up after one. */
function shared(): AbortSignal {
  return AbortSignal.timeout(DEFAULT_TIMEOUT_MS);
}

/** Tells which paths may hang. Reads the mount table when it is first asked: only binds need it. */
function hangingPaths(): (path: string) => boolean {
  let table: readonly MountEntry[] | undefined;
  return (path) => {
    table ??= readMountTableOnce();
    return pathMayHang(table, path);
  };
}

function isBind(mount: Mount): boolean {
  return mount.type === "bind" || mount.type === "rbind" || mount.options.includes("bind") ||
    mount.options.includes("rbind");
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function isError(value: LaminaError | undefined): value is LaminaError {
  return value !== undefined;
}

function oneError(errors: readonly LaminaError[]): LaminaError {
  const [first, ...others] = errors;
  if (others.length === 0) return first!;
  return new LaminaError(first!.code, errors.map(messageOf).join("; "), { cause: first, details: first!.details });
}
