/** What an OCI runtime (crun, runc) must be told about a container. Pure. */
import type { Container, ContainerCreate } from "../core/specs/container.ts";
import type { PlannedMount } from "./mount_plan.ts";

type RuntimeSpec = Container["oci"];
type RuntimeMount = RuntimeSpec["mounts"][number];

/** The parts of an image's config that matter for running it. */
export interface ImageProcess {
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Env?: readonly string[] | null;
  readonly WorkingDir?: string;
  readonly User?: string;
}

/** A device of the host that a container has. */
export interface DeviceNode {
  /** In the container. */
  readonly path: string;
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly read_only: boolean;
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** File systems that every process expects and that belong to the runtime's namespaces, not to the root. */
const kernelMounts: readonly RuntimeMount[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];

/**
 * `root`, `mounts`, `process` and, with devices, `linux` for a config.json.
 *
 * The volumes are mounted in the root already. Only those that the runtime's own mounts would cover (a volume at
 * `/dev/shm`, say) are listed once more, from their sources: a path through the root might follow a link of the image.
 */
export function runtimeSpecParts(
  rootfs: string,
  readOnly: boolean,
  planned: readonly PlannedMount[],
  image: ImageProcess,
  config: ContainerCreate["config"] = { env: [] },
  nodes: readonly DeviceNode[] = [],
): RuntimeSpec {
  const taken = new Set(planned.map(({ target }) => target));
  const kernel = kernelMounts.filter((mount) => !taken.has(mount.destination));
  const covered = planned.filter(({ device }) => device === undefined)
    .filter(({ target }) => kernelMounts.some((mount) => isBelow(target, mount.destination)))
    .map(({ target, mount }): RuntimeMount => ({
      destination: target,
      type: mount.type,
      source: mount.source,
      options: [...mount.options],
    }));
  const env = withOverrides(image.Env ?? [], config.env);
  // As in Docker: who replaces the entrypoint gets none of the image's arguments.
  const command = config.command ?? (config.entrypoint === undefined ? image.Cmd : undefined) ?? [];
  return {
    root: { path: rootfs, readonly: readOnly },
    mounts: [...kernel.map((mount) => ({ ...mount, options: [...mount.options] })), ...covered],
    process: {
      args: [...(config.entrypoint ?? image.Entrypoint ?? []), ...command],
      env: env.some((line) => line.startsWith("PATH=")) ? [...env] : [defaultPath, ...env],
      cwd: config.working_directory ?? (image.WorkingDir || "/"),
      user: config.user ?? image.User ?? "",
    },
    ...(nodes.length === 0 ? {} : { linux: devicesOf(nodes) }),
  };
}

/** A runtime has a `/dev` of its own: it makes the nodes there, and lets them through its devices cgroup. */
function devicesOf(nodes: readonly DeviceNode[]): NonNullable<RuntimeSpec["linux"]> {
  return {
    devices: nodes.map(({ read_only, ...node }) => ({ ...node, fileMode: read_only ? 0o440 : 0o660, uid: 0, gid: 0 })),
    resources: {
      devices: nodes.map(({ type, major, minor, read_only }) => ({
        allow: true,
        type,
        major,
        minor,
        access: read_only ? "rm" : "rwm",
      })),
    },
  };
}

/** The image's variables in their order, with the values that the container gives them, then the container's own. */
function withOverrides(image: readonly string[], own: readonly string[]): string[] {
  const nameOf = (line: string) => line.split("=", 1)[0]!;
  const values = new Map(image.map((line) => [nameOf(line), line]));
  for (const line of own) values.set(nameOf(line), line);
  return [...values.values()];
}

function isBelow(target: string, destination: string): boolean {
  return target === destination || target.startsWith(`${destination}/`);
}
