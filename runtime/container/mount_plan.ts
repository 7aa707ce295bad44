/** From a container's spec to mounts in an order that works. Pure. */
import { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import { tmpfsMountOptions } from "../core/tmpfs_options.ts";
import { normalizeTarget } from "./resolve_mounts.ts";

/** One mount inside a root. */
export interface PlannedMount {
  /** Absolute inside the root, normalized as text; resolved inside the root when it is mounted. */
  readonly target: string;
  /** Without target. */
  readonly mount: Mount;
  /** For binds: the host path that must exist, and whether a missing one is made (a directory, 0755). */
  readonly bindSource?: { readonly path: string; readonly create: boolean };
  /** Mounts below the target come with it or are others' business. Otherwise a foreign mount below it is in the way. */
  readonly recursive: boolean;
}

/**
 * The mounts of a spec, parents before what is mounted inside of them.
 *
 * Binds are recursive and private, as Docker's: what is mounted below the source is seen, and no later mount travels
 * between host and container.
 */
export function planMounts(mounts: readonly ContainerMount[], layout: RootLayout): PlannedMount[] {
  return mounts.map((spec) => planMount(spec, layout)).sort((a, b) =>
    depth(a.target) - depth(b.target) || (a.target < b.target ? -1 : 1)
  );
}

function planMount(spec: ContainerMount, layout: RootLayout): PlannedMount {
  const target = normalizeTarget(spec.target);
  const access = spec.type !== "image" && spec.read_only ? ["ro"] : [];
  switch (spec.type) {
    case "bind":
      return {
        target,
        mount: { type: "bind", source: spec.source, target: "", options: ["rbind", "rprivate", ...access] },
        bindSource: { path: spec.source, create: spec.create_source },
        recursive: true,
      };
    case "volume":
      return {
        target,
        mount: {
          type: "bind",
          source: layout.volumeData(spec.source),
          target: "",
          options: ["bind", "private", ...access],
        },
        recursive: false,
      };
    case "tmpfs":
      return {
        target,
        mount: {
          type: "tmpfs",
          source: "tmpfs",
          target: "",
          options: [
            "private",
            ...tmpfsMountOptions(spec.options),
            `mode=${spec.mode.toString(8)}`,
            ...(spec.size_bytes === undefined ? [] : [`size=${spec.size_bytes}`]),
            ...access,
          ],
        },
        recursive: false,
      };
    case "image":
      throw new LaminaError("UNSUPPORTED", `Cannot mount image "${spec.source}" at ${target}`);
  }
}

function depth(path: string): number {
  return path.split("/").length;
}

/**
 * How many of `targets` (canonical paths, in planned order) can be mounted together: up to the first that lies inside
 * an earlier one, because it has to be resolved again in what is mounted there.
 */
export function independentPrefix(targets: readonly string[]): number {
  for (let i = 1; i < targets.length; i++) {
    for (let j = 0; j < i; j++) {
      if (targets[i] === targets[j] || targets[i]!.startsWith(`${targets[j]}/`)) return i;
    }
  }
  return targets.length;
}
