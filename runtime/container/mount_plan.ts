/** From a container's spec to mounts in an order that works. Pure. */
import { normalize } from "@std/path/posix";
import { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import type { MountSpec } from "../core/specs/container.ts";
import type { RootLayout } from "../core/root_layout.ts";

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

/** `/a//b/./c/` as `/a/b/c`. Targets hold no `..` (see the schema), so this changes no meaning. */
export function normalizeTarget(target: string): string {
  const path = normalize(target);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/**
 * Refuses two mounts at one target.
 *
 * @throws `INVALID_ARGUMENT` naming the target.
 */
export function checkTargets(mounts: readonly MountSpec[]): void {
  const seen = new Set<string>();
  for (const { target } of mounts) {
    const path = normalizeTarget(target);
    if (seen.has(path)) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Duplicate mount point ${JSON.stringify(path)}: give each target once`,
        {
          details: { target: path },
        },
      );
    }
    seen.add(path);
  }
}

/**
 * The mounts of a spec, parents before what is mounted inside of them.
 *
 * Binds are recursive and private, as Docker's: what is mounted below the source is seen, and no later mount travels
 * between host and container.
 */
export function planMounts(mounts: readonly MountSpec[], layout: RootLayout): PlannedMount[] {
  return mounts.map((spec) => planMount(spec, layout)).sort((a, b) =>
    depth(a.target) - depth(b.target) || (a.target < b.target ? -1 : 1)
  );
}

function planMount(spec: MountSpec, layout: RootLayout): PlannedMount {
  const target = normalizeTarget(spec.target);
  const access = spec.read_only ? ["ro"] : [];
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
            "nosuid",
            "nodev",
            "noexec",
            `mode=${spec.mode.toString(8)}`,
            ...(spec.size_bytes === undefined ? [] : [`size=${spec.size_bytes}`]),
            ...access,
          ],
        },
        recursive: false,
      };
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
