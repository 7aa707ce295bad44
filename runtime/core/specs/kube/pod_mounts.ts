/** What a pod's containers say about its volumes fits together. */
import type { PodVolume } from "./pod_volume.ts";

interface ContainerLike {
  readonly name: string;
  readonly securityContext?: { readonly privileged?: boolean };
  readonly volumeMounts?: readonly { name: string; mountPath: string; mountPropagation?: string }[];
  readonly volumeDevices?: readonly { name: string; devicePath: string }[];
}

interface SpecLike {
  readonly volumes?: readonly PodVolume[];
  readonly containers: readonly ContainerLike[];
  readonly initContainers?: readonly ContainerLike[];
}

interface Issues {
  addIssue(issue: { code: "custom"; path: PropertyKey[]; message: string }): void;
}

/** Where a runtime mounts file systems of the kernel over whatever a root has there; of `/dev` it keeps the nodes. */
const COVERED = ["/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue"];

/** A refinement of a pod's spec. */
export function checkMounts(spec: SpecLike, context: Issues): void {
  const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
  const volumes = new Map<string, PodVolume>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    if (volumes.has(volume.name)) issue(["volumes", i, "name"], `there are two volumes "${volume.name}"`);
    volumes.set(volume.name, volume);
  }
  const names = new Set<string>();
  for (const list of ["initContainers", "containers"] as const) {
    for (const [i, container] of (spec[list] ?? []).entries()) {
      if (names.has(container.name)) issue([list, i, "name"], `there are two containers "${container.name}"`);
      names.add(container.name);
      checkContainer(container, volumes, (path, message) => issue([list, i, ...path], message));
    }
  }
}

function checkContainer(
  container: ContainerLike,
  volumes: ReadonlyMap<string, PodVolume>,
  issue: (path: PropertyKey[], message: string) => void,
): void {
  const mounted = new Map<string, string>();
  const taken = (path: string) => mounted.get(normalized(path));
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    if (!volumes.has(mount.name)) issue(["volumeMounts", i, "name"], noVolume(mount.name, volumes));
    const other = taken(mount.mountPath);
    if (other !== undefined) {
      issue(["volumeMounts", i, "mountPath"], `"${mount.mountPath}" is taken by volume "${other}"`);
    }
    mounted.set(normalized(mount.mountPath), mount.name);
    if (mount.mountPropagation === "Bidirectional" && !container.securityContext?.privileged) {
      issue(["volumeMounts", i, "mountPropagation"], "Bidirectional is for privileged containers only");
    }
  }
  const mountedNames = new Set((container.volumeMounts ?? []).map(({ name }) => name));
  const devices = new Set<string>();
  for (const [i, device] of (container.volumeDevices ?? []).entries()) {
    const volume = volumes.get(device.name);
    if (volume === undefined) issue(["volumeDevices", i, "name"], noVolume(device.name, volumes));
    else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined) {
      issue(["volumeDevices", i, "name"], `"${device.name}" must be a persistentVolumeClaim or ephemeral volume`);
    }
    if (mountedNames.has(device.name)) issue(["volumeDevices", i, "name"], `"${device.name}" is in volumeMounts, too`);
    if (devices.has(device.name)) issue(["volumeDevices", i, "name"], `"${device.name}" is given twice`);
    devices.add(device.name);
    const other = taken(device.devicePath);
    if (other !== undefined) {
      issue(["volumeDevices", i, "devicePath"], `"${device.devicePath}" is taken by volume "${other}"`);
    }
    const covered = COVERED.find((top) => `${normalized(device.devicePath)}/`.startsWith(`${top}/`));
    if (covered !== undefined) {
      issue(
        ["volumeDevices", i, "devicePath"],
        `"${device.devicePath}" is in ${covered}, which every runtime mounts anew`,
      );
    }
    mounted.set(normalized(device.devicePath), device.name);
  }
}

function noVolume(name: string, volumes: ReadonlyMap<string, PodVolume>): string {
  const known = [...volumes.keys()].slice(0, 10).join(", ");
  return `there is no volume "${name}" in spec.volumes${known === "" ? "" : `, only ${known}`}`;
}

/** As the container sees it: Kubernetes takes a relative path from the root. */
function normalized(path: string): string {
  return "/" + path.split("/").filter((part) => part !== "" && part !== ".").join("/");
}
