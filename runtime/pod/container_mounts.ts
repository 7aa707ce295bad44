/** From a pod's container to the binds of its root. Pure. */
import { normalize } from "@std/path/posix";
import type { MountRequest } from "../core/model/mount.ts";
import type { Pod, PodContainer, VolumeMount } from "../core/specs/kube/pod.ts";
import { sourceOf } from "../core/specs/kube/pod_volume.ts";
import { expandStrictly, MissingReference } from "./pod_env.ts";

/** What is written by Lamina; a container could not change it for long. */
const WRITTEN = new Set(["configMap", "secret", "downwardAPI", "projected"]);
/** What may have mounts of the host below it. */
const OF_THE_HOST = new Set(["hostPath", "persistentVolumeClaim", "ephemeral"]);
const PROPAGATION = { None: "rprivate", HostToContainer: "rslave", Bidirectional: "rshared" } as const;

/** A bind of a volume, or of something beneath it. */
export interface PlannedBind {
  readonly volume: string;
  readonly mount: Extract<MountRequest, { type: "bind" }>;
  /** Relative; a directory that is missing is made, unless the volume is read-only. */
  readonly subPath?: string;
}

/**
 * The binds of a container: of volumes, and of raw devices.
 *
 * @param volumes Host paths of the pod's volumes, and those that nobody may write to through it.
 * @param env Values for `subPathExpr`; asked for only where there is one.
 * @throws {MissingReference} a `subPathExpr` has no good value.
 */
export function planBinds(
  pod: Pod,
  container: PodContainer,
  volumes: { readonly paths: ReadonlyMap<string, string>; readonly read_only: ReadonlySet<string> },
  env: () => ReadonlyMap<string, string>,
): PlannedBind[] {
  const devices = (container.volumeDevices ?? []).map(({ name: volume, devicePath }): PlannedBind => {
    const source = volumes.paths.get(volume)!;
    const read_only = volumes.read_only.has(volume);
    return { volume, mount: { type: "bind", source, target: absolute(devicePath), read_only, device: true } };
  });
  const mounts = (container.volumeMounts ?? []).map((mount): PlannedBind => {
    const volume = pod.spec.volumes!.find(({ name }) => name === mount.name)!;
    const { kind } = sourceOf(volume);
    const readOnly = mount.readOnly === true || WRITTEN.has(kind);
    const subPath = subPathOf(mount, env);
    return {
      volume: mount.name,
      mount: {
        type: "bind",
        source: volumes.paths.get(mount.name)!,
        target: absolute(mount.mountPath),
        read_only: readOnly,
        propagation: PROPAGATION[mount.mountPropagation ?? "None"],
        recursive: recursionOf(mount, readOnly && OF_THE_HOST.has(kind)),
        ...(subPath === undefined ? {} : { subpath: subPath }),
      },
      ...(subPath === undefined ? {} : { subPath }),
    };
  });
  return [...mounts, ...devices];
}

/** As in Kubernetes, `readOnly` alone does not reach mounts below the volume. */
function recursionOf(mount: VolumeMount, hasMountsBelow: boolean): "enabled" | "writable" | "readonly" {
  if (mount.recursiveReadOnly === "Enabled") return "readonly";
  return mount.recursiveReadOnly === "IfPossible" || !hasMountsBelow ? "enabled" : "writable";
}

function subPathOf(mount: VolumeMount, env: () => ReadonlyMap<string, string>): string | undefined {
  if (mount.subPath) return cleaned(mount.subPath);
  if (!mount.subPathExpr) return undefined;
  const expanded = expandStrictly(mount.subPathExpr, env());
  if (expanded.startsWith("/") || expanded.split("/").includes("..") || expanded.includes("\0")) {
    // Without the path: a variable may come from a Secret.
    throw new MissingReference(
      `subPathExpr "${mount.subPathExpr}" becomes a path that is absolute or has "..": give its variables other values`,
    );
  }
  return cleaned(expanded);
}

/** `a//./b/` as `a/b`; the volume itself: nothing. */
function cleaned(path: string): string | undefined {
  const normal = normalize(path).replace(/\/$/, "");
  return normal === "." || normal === "" ? undefined : normal;
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}
