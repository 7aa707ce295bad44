/** The storage driver's mounts by the kernel's aufs, as values. Pure. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import { MAX_BRANCHES } from "./branch_union.ts";

/** mount(2) takes a page of options. */
const MAX_OPTIONS_BYTES = 4095;

/** Directories of one mount; absolute paths. */
export interface AufsStack {
  /** Shown as the mount's source. */
  readonly source: string;
  /** Trees of the parents, topmost first. */
  readonly lowers: readonly string[];
  /** The writable branch; absent: read-only. */
  readonly upper?: string;
}

/**
 * The mount of a stack; a single directory is a bind mount of it. Whiteouts of the lower branches count (`ro+wh`).
 *
 * @throws `UNSUPPORTED` for more branches, or longer names, than one mount takes.
 */
export function aufsMount({ source, lowers, upper }: AufsStack): Mount {
  const only = upper === undefined
    ? (lowers.length === 1 ? lowers[0] : undefined)
    : lowers.length === 0
    ? upper
    : undefined;
  if (only !== undefined) {
    return { type: "bind", source: only, target: "", options: ["bind", upper === undefined ? "ro" : "rw"] };
  }
  const branches = [...upper === undefined ? [] : [`${upper}=rw`], ...lowers.map((path) => `${path}=ro+wh`)];
  const br = `br=${branches.join(":")}`;
  if (branches.length > MAX_BRANCHES || new TextEncoder().encode(br).length > MAX_OPTIONS_BYTES - 64) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot stack ${lowers.length} layers: aufs takes ${MAX_BRANCHES} branches and ${MAX_OPTIONS_BYTES} bytes of ` +
        "options. Flatten the image (export a container of it and import that)",
      { details: { layers: lowers.length } },
    );
  }
  // dirperm1: the topmost directory alone says who may enter. The table of inode numbers must not lie in a layer.
  const options = [...upper === undefined ? ["ro"] : [], br, "dirperm1", "xino=/dev/shm/lamina-aufs.xino"];
  return { type: "aufs", source, target: "", options };
}
