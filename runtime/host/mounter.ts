/** The port through which every mount is made and taken away. Two implementations pass the same tests. */
import type { Mount } from "../core/mount.ts";

/** Patience of one call. */
export interface MountOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the whole batch; default 60,000. */
  readonly timeout_ms?: number;
}

/** How hard `unmount` tries. */
export interface UnmountOptions extends MountOptions {
  /** Detach now, let the kernel finish when the last user leaves (MNT_DETACH). */
  readonly lazy?: boolean;
  /** Abort requests to an unreachable server (MNT_FORCE). */
  readonly force?: boolean;
}

/**
 * Makes mounts true.
 *
 * A bind with options beyond `bind`/`rbind` is a bind followed by `remount,bind,<options>` that keeps the source's
 * locked flags; propagation (`private`, `rprivate`, `shared`, `slave`, …) is one more step. Implementations do all of
 * that for one `Mount`. Options longer than the kernel's page (4,096 bytes) are shortened by mounting from the common
 * directory of the lower layers, or by links. A recursive read-only bind is read-only all the way down where the kernel
 * can do that (Linux 5.12).
 *
 * Directories in overlay options are in overlayfs's own syntax: `\`, `:` and `,` in a name are escaped by a `\` (see
 * `escapeOverlayDirectory`).
 */
export interface Mounter {
  /** `command` or `libc`, for `lamina info`. */
  readonly name: "command" | "libc";
  /**
   * Performs the mounts in the order given. When one fails, those of this call that were made are taken away again.
   *
   * A target is used as it is given, without being resolved: callers pass canonical paths or `/proc/PID/fd/N`.
   *
   * @throws `LaminaError`: `NOT_FOUND` (source or target missing), `PERMISSION_DENIED`, `UNSUPPORTED` (unknown file
   * system), `CONFLICT` (busy), `INVALID_ARGUMENT`, `DEADLINE_EXCEEDED`; each names source and target.
   */
  mount(mounts: readonly Mount[], options: MountOptions): Promise<void>;
  /**
   * Takes mounts away, in the order given, one mount per target. A target that is no mount point is success.
   *
   * @throws `CONFLICT` when a target is busy (names the target), otherwise as `mount`. Goes on with the other targets
   * and throws at the end.
   */
  unmount(targets: readonly string[], options: UnmountOptions): Promise<void>;
}
