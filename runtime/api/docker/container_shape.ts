/** Containers in Docker's shapes. Pure. */
import type { Container, ContainerSummary } from "../../core/model/container.ts";
import type { ContainerMount } from "../../core/model/mount.ts";
import type { Volume } from "../../core/model/volume.ts";
import { configBodyOf, type JsonObject, listOf, mergedConfig } from "./container_config.ts";
import { NEVER, unixSeconds } from "./times.ts";

/** Looks a volume up; `undefined` when it is not there any more. */
export type FindVolume = (name: string) => Volume | undefined;

/** Sizes in bytes: of the RW layer, and of the whole root. */
export interface ContainerSizes {
  readonly rw_bytes: number;
  readonly root_bytes: number;
}

/** What the creator's client sent, where it spoke Docker's dialect. */
interface DockerEngine {
  readonly config?: JsonObject;
  readonly host_config?: JsonObject;
}

const EMPTY_HOST_CONFIG: JsonObject = {
  Binds: null,
  NetworkMode: "default",
  AutoRemove: false,
  VolumeDriver: "",
  VolumesFrom: null,
  ReadonlyRootfs: false,
  Privileged: false,
  Mounts: null,
};

/** `Config` of a container, merged with its image's. */
export function dockerConfig(container: Pick<Container, "engine" | "config" | "image">, image: JsonObject): JsonObject {
  const { config } = container.engine as DockerEngine;
  return config ?? { ...mergedConfig(configBodyOf(container.config), image), Image: container.image };
}

/** `HostConfig`: as the client sent it, or as the client of another dialect would have. */
export function dockerHostConfig(container: Container): JsonObject {
  const { host_config } = container.engine as DockerEngine;
  return {
    ...EMPTY_HOST_CONFIG,
    ReadonlyRootfs: container.read_only,
    AutoRemove: container.auto_remove,
    VolumesFrom: container.volumes_from.length === 0 ? null : container.volumes_from,
    ...(Object.keys(container.storage_options).length === 0 ? {} : { StorageOpt: container.storage_options }),
    ...host_config,
  };
}

/** `GET /containers/{id}/json`. */
export function dockerContainer(
  container: Container,
  image: JsonObject,
  volumes: FindVolume,
  sizes?: ContainerSizes,
): JsonObject {
  const config = dockerConfig(container, image);
  const [path = "", ...args] = commandOf(config);
  return {
    Id: container.id,
    Created: container.created_at,
    Path: path,
    Args: args,
    State: {
      Status: "created",
      Running: false,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: 0,
      ExitCode: 0,
      Error: "",
      StartedAt: NEVER,
      FinishedAt: NEVER,
    },
    Image: container.image_id,
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: "",
    Name: `/${container.name}`,
    RestartCount: 0,
    Driver: container.storage_driver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: dockerHostConfig(container),
    GraphDriver: { Name: container.storage_driver, Data: { RootFS: container.rootfs } },
    ...sizeFields(sizes),
    Mounts: container.mounts.map((mount) => dockerMountPoint(mount, volumes)),
    Config: { ...config, Hostname: config.Hostname || container.id.slice(0, 12) },
    NetworkSettings: { Ports: {}, Networks: {} },
  };
}

/** A line of `GET /containers/json`. */
export function dockerContainerSummary(
  container: ContainerSummary,
  config: JsonObject,
  volumes: FindVolume,
  sizes?: ContainerSizes,
): JsonObject {
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.image,
    ImageID: container.image_id,
    Command: commandOf(config).join(" "),
    Created: unixSeconds(container.created_at),
    Ports: [],
    ...sizeFields(sizes),
    Labels: container.labels,
    State: "created",
    Status: "Created",
    HostConfig: { NetworkMode: "default" },
    NetworkSettings: { Networks: {} },
    // A tmpfs has no name to show in a list.
    Mounts: container.mounts.filter(({ type }) => type !== "tmpfs").map((mount) => dockerMountPoint(mount, volumes)),
  };
}

/** One of `Mounts`. */
export function dockerMountPoint(mount: ContainerMount, volumes: FindVolume): JsonObject {
  const base = { Destination: mount.target, Mode: "", Propagation: "" };
  switch (mount.type) {
    case "bind":
      return {
        Type: "bind",
        Source: mount.source,
        ...base,
        Mode: mount.relabel ?? "",
        RW: !mount.read_only,
        Propagation: mount.propagation,
      };
    case "volume": {
      const volume = volumes(mount.source);
      return {
        Type: "volume",
        Name: mount.source,
        Source: volume?.mountpoint ?? "",
        ...base,
        Driver: volume?.driver ?? "",
        Mode: mount.relabel ?? "",
        RW: !mount.read_only,
      };
    }
    case "tmpfs":
      return { Type: "tmpfs", Source: "", ...base, RW: !mount.read_only };
    case "image":
      return { Type: "image", Source: mount.source, ...base, RW: false };
  }
}

/** Entrypoint and command in one. */
function commandOf(config: JsonObject): string[] {
  return [...listOf(config.Entrypoint) ?? [], ...listOf(config.Cmd) ?? []];
}

function sizeFields(sizes: ContainerSizes | undefined): JsonObject {
  return sizes === undefined ? {} : { SizeRw: sizes.rw_bytes, SizeRootFs: sizes.root_bytes };
}
