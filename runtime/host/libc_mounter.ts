/** Mounts by system calls, without a process each. */
import { LaminaError, messageOf } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import { CommandMounter, DEFAULT_TIMEOUT_MS } from "./command_mounter.ts";
import { hostError } from "./errno_errors.ts";
import { isMadeAtOnce } from "./file_system_types.ts";
import { ErrnoError } from "./libc.ts";
import { type MountApiSupport, mountApiSupport } from "./mount_api.ts";
import { isWithinKernelLimits, mountNow, unmountBySystemCall } from "./mount_calls.ts";
import { unmountError } from "./mount_errors.ts";
import { realTargetOf } from "./mount_job.ts";
import { type MountSteps, mountSteps } from "./mount_options.ts";
import { pathMayHang } from "./mount_source.ts";
import { readMountTableOnce } from "./mount_table.ts";
import { mountUsers } from "./mount_users.ts";
import type { Mounter, MountOptions, UnmountOptions } from "./mounter.ts";
import { unmountsAtOnce } from "./unmount_process.ts";

/**
 * {@linkcode Mounter} on mount(2), umount2(2) and the newer mount calls.
 *
 * A system call cannot be killed: whatever may wait for a device or a server, or needs a helper program, is left to
 * the other implementation.
 */
export class LibcMounter implements Mounter {
  readonly name = "libc";
  readonly #other: Mounter;

  readonly #support: MountApiSupport;

  /**
   * @param other Takes what may hang; default a {@linkcode CommandMounter}.
   * @param support What the kernel can do; default asked from it.
   */
  constructor(other: Mounter = new CommandMounter(), support: MountApiSupport = mountApiSupport()) {
    this.#other = other;
    this.#support = support;
  }

  /** See {@linkcode Mounter.mount}. */
  async mount(mounts: readonly Mount[], options: MountOptions): Promise<void> {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout_ms ?? DEFAULT_TIMEOUT_MS)]);
    const steps = mounts.map(mountSteps);
    const made: string[] = [];
    try {
      for (const [at, mount] of mounts.entries()) {
        signal.throwIfAborted();
        const real = realTargetOf(mount.target);
        if (!this.#isOurs(mount, steps[at]!)) {
          await this.#other.mount([mount], { signal });
          if (makes(steps[at]!)) made.push(real);
        } else {
          const done = mountNow(mount, real, this.#support);
          if (done.made !== undefined) made.push(done.made);
          if (done.error !== undefined) throw done.error;
        }
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
    for (const target of targets) {
      const atOnce = unmountsAtOnce({ target, lazy: options.lazy ?? false, force: options.force ?? false });
      if (atOnce === undefined) continue;
      try {
        signal.throwIfAborted();
        if (atOnce) await unmountBySystemCall(target, options.lazy === true);
        else await this.#other.unmount([target], { ...options, signal });
      } catch (error) {
        errors.push(
          error instanceof ErrnoError
            ? unmountError(
              target,
              { errno: error.errno, cause: error },
              error.errno === "EBUSY" ? mountUsers(target) : [],
            )
            : hostError(error, `Cannot unmount ${target}`, { target }),
        );
      }
    }
    const [first, ...others] = errors;
    if (first === undefined) return;
    if (others.length === 0) throw first;
    throw new LaminaError(first.code, errors.map(messageOf).join("; "), { cause: first, details: first.details });
  }

  #isOurs(mount: Mount, steps: MountSteps): boolean {
    if (steps.kind === "bind") return !pathMayHang(readMountTableOnce(), mount.source);
    if (steps.kind !== "filesystem" && steps.kind !== "remount") return true;
    return isMadeAtOnce(mount.type) && (mount.type !== "overlay" || isWithinKernelLimits(steps, this.#support));
  }

  async #undo(made: readonly string[], failure: LaminaError): Promise<LaminaError> {
    const left: string[] = [];
    for (const target of made.toReversed()) {
      try {
        await unmountBySystemCall(target, true);
      } catch (error) {
        left.push(messageOf(error));
      }
    }
    if (left.length === 0) return failure;
    const message = `${failure.message}. What was mounted could not be taken away again: ${left.join("; ")}`;
    return new LaminaError(failure.code, message, { cause: failure.cause, details: failure.details });
  }
}

function makes(steps: MountSteps): boolean {
  return steps.kind === "bind" || steps.kind === "filesystem";
}
