/** From what was asked for, what the image wants, and what other containers have, to the mounts of a container. Pure. */
import { normalize } from "@std/path/posix";
import { LaminaError } from "../core/errors.ts";
import type { VolumeName } from "../core/ids.ts";
import type { ContainerCreate } from "../core/specs/container.ts";
import type { ContainerMount, MountSpec } from "../core/specs/mount.ts";
import { tmpfsOptionFamily } from "../core/tmpfs_options.ts";

/** What a request says of the volume of a mount. */
export type VolumeWish = NonNullable<Extract<MountSpec, { type: "volume" }>["volume"]>;

/** Mounts of another container, and whether they may be written to here. */
export interface BorrowedMounts {
  readonly mounts: readonly ContainerMount[];
  readonly read_only: boolean;
}

/** What is needed besides the request. */
export interface MountSources {
  /** VOLUMEs of the image, as its config has them. */
  readonly imageVolumes: readonly string[];
  /** In the order of `volumes_from`. */
  readonly borrowed: readonly BorrowedMounts[];
  /** A fresh name for an anonymous volume. */
  readonly anonymousName: () => string;
  /** The id of an image that is to be mounted. @throws `NOT_FOUND` */
  readonly imageId: (reference: string) => string;
}

/** See {@linkcode resolveMounts}. */
export interface ResolvedMounts {
  readonly mounts: readonly ContainerMount[];
  /** Volumes that this container may be the first to have, by name; with what the request says of them. */
  readonly volumes: ReadonlyMap<string, VolumeWish | undefined>;
}

/** `/a//b/./c/` as `/a/b/c`. Targets hold no `..` (see the schema), so this changes no meaning. */
export function normalizeTarget(target: string): string {
  const path = normalize(target);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/**
 * All mounts of a container. Its own win over those of `volumes_from`, of which the later win; a target that something
 * is mounted at gets no volume for the image's VOLUME.
 *
 * @throws `INVALID_ARGUMENT` where the request names a target twice, or a volume with two drivers or options.
 */
export function resolveMounts(
  request: Pick<ContainerCreate, "mounts" | "volumes">,
  sources: MountSources,
): ResolvedMounts {
  const byTarget = new Map<string, ContainerMount>();
  const volumes = new Map<string, VolumeWish | undefined>();
  refuseDuplicates(request.mounts);
  request.mounts.forEach(refuseContradictions);
  for (const { mounts, read_only } of sources.borrowed) {
    for (const mount of mounts) {
      if (mount.type === "tmpfs") continue;
      byTarget.set(normalizeTarget(mount.target), borrow(mount, read_only));
    }
  }
  const anonymous = (target: string, from: ContainerMount["from"]): ContainerMount => {
    const source = sources.anonymousName() as VolumeName;
    volumes.set(source, undefined);
    return { type: "volume", source, target, read_only: false, no_copy: false, anonymous: true, from };
  };
  for (const mount of request.mounts) {
    const own = { ...mount, from: "request" } as const;
    switch (own.type) {
      case "volume": {
        const { volume, ...kept } = own;
        const source = own.source ?? sources.anonymousName() as VolumeName;
        noteWish(volumes, source, volume);
        byTarget.set(normalizeTarget(own.target), { ...kept, source, anonymous: own.source === undefined });
        break;
      }
      case "image":
        byTarget.set(normalizeTarget(own.target), { ...own, image_id: sources.imageId(own.source) });
        break;
      default:
        byTarget.set(normalizeTarget(own.target), own);
    }
  }
  const wanted = [
    ...request.volumes.map((target) => ({ target, from: "request" as const })),
    ...sources.imageVolumes.map((target) => ({ target, from: "image" as const })),
  ];
  for (const { target, from } of wanted) {
    // A config's VOLUME may be relative, or hold "..": both mean a path from the root.
    const path = normalizeTarget(`/${target}`);
    if (path !== "/" && !byTarget.has(path)) byTarget.set(path, anonymous(path, from));
  }
  return { mounts: [...byTarget.values()], volumes };
}

function borrow(mount: Exclude<ContainerMount, { type: "tmpfs" }>, read_only: boolean): ContainerMount {
  const from = "volumes_from";
  switch (mount.type) {
    case "image":
      return { ...mount, from };
    case "volume":
      return { ...mount, read_only: mount.read_only || read_only, no_copy: true, from };
    case "bind":
      return { ...mount, read_only: mount.read_only || read_only, from };
  }
}

function noteWish(volumes: Map<string, VolumeWish | undefined>, name: string, wish: VolumeWish | undefined): void {
  const known = volumes.get(name);
  if (known !== undefined && wish !== undefined && JSON.stringify(known) !== JSON.stringify(wish)) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot create the container: its mounts of volume "${name}" ask for different drivers, options or labels. ` +
        "Say it at one of them",
      { details: { volume: name } },
    );
  }
  volumes.set(name, known ?? wish);
}

/** What no schema of a single field can tell. */
function refuseContradictions(mount: MountSpec): void {
  const refuse = (why: string) => {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid mount at ${JSON.stringify(mount.target)}: ${why}`, {
      details: { target: mount.target },
    });
  };
  if (mount.type === "volume" && mount.subpath !== undefined && mount.source === undefined) {
    refuse("a subpath needs a named volume, a new one has none yet");
  }
  if (mount.type === "tmpfs") {
    const families = mount.options.map(tmpfsOptionFamily);
    const at = families.findIndex((family, i) => families.indexOf(family) !== i);
    if (at >= 0) refuse(`"${mount.options[at]}" and another of its options exclude each other`);
  }
  if (mount.type !== "bind" || !["writable", "readonly"].includes(mount.recursive)) return;
  if (!mount.read_only) refuse(`recursive "${mount.recursive}" says what read_only means below: ask for that too`);
  if (mount.recursive === "readonly" && mount.propagation !== "rprivate") {
    refuse('recursive "readonly" needs propagation "rprivate": a mount that comes later would be writable');
  }
}

/** @throws `INVALID_ARGUMENT` naming the target. */
function refuseDuplicates(mounts: readonly MountSpec[]): void {
  const seen = new Set<string>();
  for (const { target } of mounts) {
    const path = normalizeTarget(target);
    if (seen.has(path)) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Duplicate mount point ${JSON.stringify(path)}: give each target once`,
        { details: { target: path } },
      );
    }
    seen.add(path);
  }
}
