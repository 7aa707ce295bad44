/** `Binds`, `Mounts`, `Tmpfs` and `Volumes` of a container's body as mounts of Lamina. Pure. */
import { LaminaError } from "../../core/errors.ts";
import type { MountPropagation, MountRequest } from "../../core/model/mount.ts";
import { parseTmpfsFlag, parseVolumeFlag } from "../../core/volume_flag.ts";
import type { ContainerBody, HostConfigBody, MountBody } from "./container_body.ts";

/** Mounts, and the targets of anonymous volumes that give way to them. */
export interface RequestedMounts {
  readonly mounts: MountRequest[];
  readonly volumes: string[];
}

/**
 * All mounts that a body asks for.
 *
 * @throws `INVALID_ARGUMENT` naming the field.
 */
export function requestedMounts(body: ContainerBody): RequestedMounts {
  const host: HostConfigBody = body.HostConfig ?? {};
  const driver = host.VolumeDriver || undefined;
  const mounts = [
    ...(host.Binds ?? []).map((bind) => withDriver(parseVolumeFlag(bind), driver)),
    ...(host.Mounts ?? []).map((mount, i) => mountRequest(mount, `body.HostConfig.Mounts[${i}]`)),
    ...Object.entries(host.Tmpfs ?? {}).map(([target, options]) =>
      parseTmpfsFlag(options === "" ? target : `${target}:${options}`)
    ),
  ];
  const taken = new Set(mounts.map(({ target }) => plain(target)));
  const anonymous = Object.keys(body.Volumes ?? {}).filter((target) => !taken.has(plain(target)));
  if (driver === undefined || driver === "local") return { mounts, volumes: anonymous };
  return {
    mounts: [...mounts, ...anonymous.map((target) => withDriver({ type: "volume", target }, driver))],
    volumes: [],
  };
}

function mountRequest(mount: MountBody, path: string): MountRequest {
  const refuse = (why: string): never => {
    throw new LaminaError("INVALID_ARGUMENT", `invalid mount config: ${path}: ${why}`);
  };
  const target = mount.Target || refuse("field Target must not be empty");
  const read_only = mount.ReadOnly ?? false;
  const source = mount.Source || undefined;
  for (const [type, field] of Object.entries(optionsOf)) {
    if (mount[field] && mount.Type !== type) refuse(`${field} must not be given for type "${mount.Type ?? ""}"`);
  }
  switch (mount.Type) {
    case "bind":
      return {
        type: "bind",
        source: source ?? refuse("field Source must not be empty"),
        target,
        read_only,
        ...bind(mount),
      };
    case "volume":
      return { type: "volume", ...(source === undefined ? {} : { source }), target, read_only, ...volume(mount) };
    case "tmpfs":
      if (source !== undefined) refuse("Source must not be given for a tmpfs");
      return { type: "tmpfs", target, read_only, ...tmpfs(mount) };
    case "image":
      return {
        type: "image",
        source: source ?? refuse("field Source must not be empty"),
        target,
        ...(mount.ImageOptions?.Subpath ? { subpath: mount.ImageOptions.Subpath } : {}),
      };
    default:
      return refuse(`mount type "${mount.Type ?? ""}" is unknown: use bind, volume, tmpfs or image`);
  }
}

const optionsOf = {
  bind: "BindOptions",
  volume: "VolumeOptions",
  tmpfs: "TmpfsOptions",
  image: "ImageOptions",
} as const;

function bind({ BindOptions: options }: MountBody) {
  return {
    create_source: options?.CreateMountpoint ?? false,
    propagation: (options?.Propagation || "rprivate") as MountPropagation,
    recursive: options?.NonRecursive
      ? "disabled" as const
      : options?.ReadOnlyForceRecursive
      ? "readonly" as const
      : options?.ReadOnlyNonRecursive
      ? "writable" as const
      : "enabled" as const,
  };
}

function volume({ VolumeOptions: options }: MountBody) {
  const { Name: driver, Options: driverOptions } = options?.DriverConfig ?? {};
  const made = {
    ...(driver ? { driver } : {}),
    ...(driverOptions && Object.keys(driverOptions).length > 0 ? { options: driverOptions } : {}),
    ...(options?.Labels && Object.keys(options.Labels).length > 0 ? { labels: options.Labels } : {}),
  };
  return {
    no_copy: options?.NoCopy ?? false,
    ...(options?.Subpath ? { subpath: options.Subpath } : {}),
    ...(Object.keys(made).length > 0 ? { volume: made } : {}),
  };
}

function tmpfs({ TmpfsOptions: options }: MountBody) {
  return {
    ...(options?.SizeBytes ? { size_bytes: options.SizeBytes } : {}),
    ...(options?.Mode ? { mode: options.Mode } : {}),
    options: (options?.Options ?? []).map((words) => words.join("=")),
  };
}

/** A volume that has no driver of its own gets the container's. */
function withDriver(mount: MountRequest, driver: string | undefined): MountRequest {
  if (driver === undefined || mount.type !== "volume" || mount.volume?.driver !== undefined) return mount;
  return { ...mount, volume: { ...mount.volume, driver } };
}

function plain(target: string): string {
  return target.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}
