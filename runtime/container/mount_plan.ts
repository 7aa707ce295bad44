/** From a container's mounts to mounts of the kernel, in an order that works. Pure. */
import { join } from "@std/path/posix";
import type { Mount } from "../core/mount.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import { tmpfsMountOptions } from "../core/tmpfs_options.ts";
import { normalizeTarget } from "./resolve_mounts.ts";

/** Where the sources of mounts are on the host. */
export interface MountPlaces {
  /** Data of a volume. */
  volume(name: string): string;
  /** The image of the mount of that index in the spec. */
  image(index: number): string;
}

/** One mount inside a root. */
export interface PlannedMount {
  /** Absolute inside the root, normalized as text; resolved inside the root when it is mounted. */
  readonly target: string;
  /** Without target. */
  readonly mount: Mount;
  /** For binds: the host path that must exist, and whether a missing one is made (a directory, 0755). */
  readonly bindSource?: { readonly path: string; readonly create: boolean };
  /** The source is this path beneath that directory: opened without ever leaving it, and bound from what was opened. */
  readonly beneath?: { readonly top: string; readonly path: string };
  /** What is mounted below the source stays writable: only the mount itself becomes read-only, after it was made. */
  readonly readOnlyAfter?: boolean;
  /** What is mounted below the source must become read-only, too; otherwise that happens where the kernel can. */
  readonly insistsOnReadOnly?: boolean;
  /** The source must be on a mount that is shared, or for `slave` at least a slave. */
  readonly travels?: "shared" | "slave";
  /** The source is a device node: it is bound upon a placeholder, and a runtime makes a node of its own. */
  readonly device?: { readonly read_only: boolean };
  /** Mounts below the target come with it or are others' business. Otherwise a foreign mount below it is in the way. */
  readonly recursive: boolean;
}

/** The mounts of a spec, parents before what is mounted inside of them. */
export function planMounts(mounts: readonly ContainerMount[], places: MountPlaces): PlannedMount[] {
  return mounts.map((spec, index) => planMount(spec, index, places)).sort((a, b) =>
    depth(a.target) - depth(b.target) || (a.target < b.target ? -1 : 1)
  );
}

function planMount(spec: ContainerMount, index: number, places: MountPlaces): PlannedMount {
  const target = normalizeTarget(spec.target);
  switch (spec.type) {
    case "bind":
      return { target, ...planBind(spec) };
    case "volume":
      return { target, ...planTree(places.volume(spec.source), spec.subpath, spec.read_only) };
    case "image":
      return { target, ...planTree(places.image(index), spec.subpath, true) };
    case "tmpfs": {
      const options = [
        "private",
        ...tmpfsMountOptions(spec.options),
        `mode=${spec.mode.toString(8)}`,
        ...(spec.size_bytes === undefined ? [] : [`size=${spec.size_bytes}`]),
        ...(spec.read_only ? ["ro"] : []),
      ];
      return { target, mount: { type: "tmpfs", source: "tmpfs", target: "", options }, recursive: false };
    }
  }
}

/** A volume or an image: what is mounted below its data is nobody's but its own. */
function planTree(top: string, subpath: string | undefined, readOnly: boolean): Omit<PlannedMount, "target"> {
  const source = subpath === undefined ? top : join(top, subpath);
  return {
    mount: { type: "bind", source, target: "", options: ["bind", "private", ...(readOnly ? ["ro"] : [])] },
    ...(subpath === undefined ? {} : { beneath: { top, path: subpath } }),
    recursive: false,
  };
}

function planBind(spec: Extract<ContainerMount, { type: "bind" }>): Omit<PlannedMount, "target"> {
  if (spec.device) return planDevice(spec);
  const { recursive, propagation } = spec;
  const whole = recursive !== "disabled";
  const after = spec.read_only && recursive === "writable";
  const options = [whole ? "rbind" : "bind", propagation, ...(spec.read_only && !after ? ["ro"] : [])];
  const travels = /shared|slave/.exec(propagation)?.[0] as PlannedMount["travels"];
  return {
    mount: { type: "bind", source: join(spec.source, spec.subpath ?? ""), target: "", options },
    ...(spec.subpath === undefined
      ? { bindSource: { path: spec.source, create: spec.create_source } }
      : { beneath: { top: spec.source, path: spec.subpath } }),
    ...(after ? { readOnlyAfter: true } : {}),
    ...(recursive === "readonly" ? { insistsOnReadOnly: true } : {}),
    ...(travels === undefined ? {} : { travels }),
    recursive: whole || travels !== undefined,
  };
}

/** Read-only in any case: that leaves the device's data alone, but nobody changes the modes of the host's node. */
function planDevice({ source, read_only }: Extract<ContainerMount, { type: "bind" }>): Omit<PlannedMount, "target"> {
  return {
    mount: { type: "bind", source, target: "", options: ["bind", "private", "ro"] },
    bindSource: { path: source, create: false },
    device: { read_only },
    recursive: false,
  };
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
