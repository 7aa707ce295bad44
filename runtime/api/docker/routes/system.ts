/** The daemon: ping, version, info, disk usage. */
import * as z from "zod";
import type { DiskUsage, Info } from "../../../core/model/system.ts";
import type { Operation } from "../../../core/operation.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { API_VERSION, MIN_API_VERSION, type MinorVersion } from "../api_version.ts";
import { imageOf, orGone, orGoneLater, volumeFinder } from "../container_lookup.ts";
import { dockerConfig, dockerContainerSummary } from "../container_shape.ts";
import { dockerImageSummary } from "../image_shape.ts";
import { texts } from "../query.ts";
import { type DockerRoute, dockerRoute, json } from "../route.ts";
import { dockerVolume } from "../volume_shape.ts";

/** See the head of the file. */
export const systemRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "GET HEAD",
    path: "/_ping",
    handler: () => ({
      kind: "text",
      text: "OK",
      headers: { "cache-control": "no-cache, no-store, must-revalidate", "pragma": "no-cache", "swarm": "inactive" },
    }),
  }),
  dockerRoute({ methods: "GET", path: "/version", handler: ({ runtime }) => json(version(runtime.system.info())) }),
  dockerRoute({ methods: "GET", path: "/info", handler: ({ runtime }) => json(info(runtime.system.info())) }),
  dockerRoute({
    methods: "GET",
    path: "/system/df",
    query: z.object({ type: texts }),
    lane: "long",
    async handler({ runtime, query, version, operation }) {
      const usage = await runtime.system.diskUsage(operation);
      const wanted = (type: string) => query.type.length === 0 || query.type.includes(type);
      return json({
        LayersSize: usage.layers_bytes,
        ...(wanted("image") ? { Images: usedImages(runtime, version) } : {}),
        ...(wanted("container") ? { Containers: await usedContainers(runtime, usage, operation) } : {}),
        ...(wanted("volume") ? { Volumes: usedVolumes(runtime, usage) } : {}),
        ...(wanted("build-cache") ? { BuildCache: [] } : {}),
        BuilderSize: 0,
      });
    },
  }),
];

function usedImages(runtime: LaminaRuntime, version: MinorVersion): unknown[] {
  return runtime.images.list().flatMap(({ id }) => {
    const image = orGone(() => runtime.images.inspect(id));
    return image === undefined ? [] : [dockerImageSummary(image, version, { shared: true, containers: true })];
  });
}

async function usedContainers(
  runtime: LaminaRuntime,
  { containers }: DiskUsage,
  operation: Operation,
): Promise<unknown[]> {
  const volumes = volumeFinder(runtime);
  const lines = [];
  for (const { name, rw_bytes } of containers) {
    const container = await orGoneLater(runtime.containers.inspect(name, { size: false }, operation));
    if (container === undefined) continue;
    const image = imageOf(runtime, container);
    const sizes = { rw_bytes, root_bytes: rw_bytes + image.size_bytes };
    lines.push(dockerContainerSummary(container, dockerConfig(container, image.config), volumes, sizes));
  }
  return lines;
}

function usedVolumes(runtime: LaminaRuntime, { volumes }: DiskUsage): unknown[] {
  const sizes = new Map(volumes.map((volume) => [volume.name, volume]));
  return runtime.volumes.list().map((volume) => {
    const usage = sizes.get(volume.name);
    return dockerVolume(volume, { size_bytes: usage?.size_bytes ?? 0, users: volume.used_by.length });
  });
}

function version(found: Info): unknown {
  const facts = {
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: "",
    GoVersion: "",
    Os: found.os,
    Arch: found.architecture,
    KernelVersion: found.kernel,
  };
  return {
    Platform: { Name: "Lamina" },
    Version: found.version,
    ...facts,
    Experimental: false,
    BuildTime: "",
    Components: [{ Name: "Lamina", Version: found.version, Details: { ...facts, Experimental: "false" } }],
  };
}

function info(found: Info): unknown {
  return {
    ID: found.root,
    Containers: found.containers,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: found.containers,
    Images: found.images,
    Driver: found.storage_driver,
    DriverStatus: Object.entries(found.storage_status),
    Plugins: { Volume: found.volume_drivers, Network: [], Authorization: null, Log: [] },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    BridgeNfIptables: true,
    BridgeNfIp6tables: true,
    Debug: false,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "none",
    CgroupDriver: "none",
    NEventsListener: 0,
    KernelVersion: found.kernel,
    OperatingSystem: "Lamina",
    OSVersion: "",
    OSType: found.os,
    Architecture: found.architecture === "amd64" ? "x86_64" : "aarch64",
    IndexServerAddress: "",
    RegistryConfig: null,
    NCPU: navigator.hardwareConcurrency,
    MemTotal: Deno.systemMemoryInfo().total,
    GenericResources: null,
    DockerRootDir: found.root,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: Deno.hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: found.version,
    Runtimes: {},
    DefaultRuntime: "",
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: { ID: "", Expected: "" },
    RuncCommit: { ID: "", Expected: "" },
    InitCommit: { ID: "", Expected: "" },
    SecurityOptions: found.rootless ? ["name=rootless"] : [],
    ProductLicense: "",
    Warnings: ["Lamina is the storage half of a container engine: it does not run processes"],
  };
}
