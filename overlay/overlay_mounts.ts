/** Overlay mounts as values. Pure. */
import { LaminaError } from "../runtime/core/errors.ts";
import type { Mount } from "../runtime/core/mount.ts";
import { escapeOverlayDirectory, MAX_LOWER_DIRECTORIES } from "../runtime/host/overlay_options.ts";

/** Directories of one mount; absolute paths. */
export interface OverlayStack {
  /** Shown as the mount's source: the snapshot's directory, by which a mount table tells whose mount it is. */
  readonly source: string;
  /** Trees of the parents, topmost first. */
  readonly lowers: readonly string[];
  /** Absent: read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
  /** All other options. */
  readonly options: readonly string[];
}

/**
 * The mount of a stack. An overlay of one directory is a bind mount of it, as in containerd: the kernel would refuse
 * the overlay, and there is nothing to merge.
 *
 * @throws `UNSUPPORTED` for more layers than the kernel stacks.
 */
export function overlayMount({ source, lowers, writable, options }: OverlayStack): Mount {
  if (lowers.length > MAX_LOWER_DIRECTORIES) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot stack ${lowers.length} layers: overlay mounts take ${MAX_LOWER_DIRECTORIES}. Flatten the image ` +
        "(export a container of it and import that)",
      { details: { layers: lowers.length, limit: MAX_LOWER_DIRECTORIES } },
    );
  }
  const only = writable === undefined
    ? lowers.length === 1 ? lowers[0] : undefined
    : lowers.length === 0
    ? writable.upper
    : undefined;
  if (only !== undefined) {
    return { type: "bind", source: only, target: "", options: ["bind", writable === undefined ? "ro" : "rw"] };
  }
  const directories = [`lowerdir=${lowers.map(escapeOverlayDirectory).join(":")}`];
  if (writable !== undefined) {
    directories.push(
      `upperdir=${escapeOverlayDirectory(writable.upper)}`,
      `workdir=${escapeOverlayDirectory(writable.work)}`,
    );
  }
  return {
    type: "overlay",
    source,
    target: "",
    options: [...(writable === undefined ? ["ro"] : []), ...directories, ...options],
  };
}
