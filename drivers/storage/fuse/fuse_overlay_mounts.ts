/** Mounts by fuse-overlayfs as values, and whose they are. Pure. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import { idOfDirectory, type SnapshotMount } from "../snapshot_mounts.ts";

/** Type of such a mount for mount(8), and in the mount table. */
export const FUSE_OVERLAY_TYPE = "fuse.fuse-overlayfs";
/** Name of the program. */
export const FUSE_OVERLAY_PROGRAM = "fuse-overlayfs";

/** Longest text that a program takes as one argument (the kernel's MAX_ARG_STRLEN), less what mount(8) adds. */
const MAX_OPTIONS_BYTES = 131_072 - 1024;

/** Directories of one mount; absolute paths. */
export interface FuseStack {
  /** The snapshot's directory: the program's first argument, by which {@linkcode fuseSnapshotMounts} knows it. */
  readonly source: string;
  /** Trees of the parents, topmost first. */
  readonly lowers: readonly string[];
  /** Absent: read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
}

/**
 * The mount of a stack; a single directory is a bind mount of it.
 *
 * @throws `UNSUPPORTED` for more layers than the program can be told of, or a path that its options cannot carry.
 */
export function fuseOverlayMount({ source, lowers, writable }: FuseStack): Mount {
  const only = writable === undefined
    ? lowers.length === 1 ? lowers[0] : undefined
    : lowers.length === 0
    ? writable.upper
    : undefined;
  if (only !== undefined) {
    return { type: "bind", source: only, target: "", options: ["bind", writable === undefined ? "ro" : "rw"] };
  }
  const paths = [...lowers, ...writable === undefined ? [] : [writable.upper, writable.work]];
  const odd = paths.find((path) => /[\\:,"'\s]/.test(path));
  if (odd !== undefined) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot mount ${odd} by fuse-overlayfs: a space, quote, backslash, colon or comma cannot stand in its options. ` +
        "Use a root without them",
    );
  }
  const options = [`lowerdir=${lowers.join(":")}`];
  if (writable !== undefined) options.push(`upperdir=${writable.upper}`, `workdir=${writable.work}`);
  const length_bytes = new TextEncoder().encode(options.join(",")).length;
  if (length_bytes > MAX_OPTIONS_BYTES) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot stack ${lowers.length} layers: fuse-overlayfs takes ${MAX_OPTIONS_BYTES} bytes of options, these are ` +
        `${length_bytes}. Flatten the image (export a container of it and import that)`,
      { details: { layers: lowers.length } },
    );
  }
  return {
    type: FUSE_OVERLAY_TYPE,
    source,
    target: "",
    options: [...writable === undefined ? ["ro"] : [], ...options],
  };
}

/**
 * The mounts of snapshots in `layers`, by the arguments of the programs that serve them: the mount table says no more
 * than that it is fuse-overlayfs.
 */
export function fuseSnapshotMounts(
  entries: readonly MountEntry[],
  servers: ReadonlyArray<{ readonly args: readonly string[] }>,
  layers: string,
): SnapshotMount[] {
  const found: SnapshotMount[] = [];
  for (const { args: [source = "", target = ""] } of servers) {
    const id = source.startsWith(`${layers}/`) ? idOfDirectory(source.slice(layers.length + 1)) : undefined;
    if (id === undefined) continue;
    const entry = entries.findLast((one) => one.target === target && one.type === FUSE_OVERLAY_TYPE);
    if (entry !== undefined) found.push({ id, target, readOnly: entry.options.includes("ro") });
  }
  return found;
}
