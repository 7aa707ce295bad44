/** The roots of a pod's containers: made, mounted, removed. */
import type { Container } from "../core/model/container.ts";
import type { KubeObject } from "../core/model/object.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { containersOf, type Pod, type PodContainer } from "../core/specs/kube/pod.ts";
import { faultPoint } from "../host/faults.ts";
import { openBeneath, openInRoot } from "../host/rootfs_path.ts";
import type { PlannedBind } from "./container_mounts.ts";
import { POD_LABEL } from "../container/container_rows.ts";
import type { PodRoom } from "./pod_room.ts";

/** Longest name of a container. */
const MAX_NAME = 128;

/** `k8s_CONTAINER_POD_NAMESPACE`, as the kubelet's; too long, it has the pod's uid instead of its names. */
export function containerName(pod: KubeObject, container: string): string {
  const { name, namespace = "default", uid } = pod.metadata;
  const whole = `k8s_${container}_${name}_${namespace}`;
  return whole.length <= MAX_NAME ? whole : `k8s_${container}_${uid}`;
}

/**
 * The container, there and mounted. `made`: it was not there before.
 *
 * @param work `isKnown`: it was mounted by this process, and is kept so. Otherwise it may lack some of its mounts.
 * @throws `CONFLICT` when somebody else's container has its name; what creating and mounting throw.
 */
export async function ensureContainer(
  room: PodRoom,
  pod: Pod & KubeObject,
  container: PodContainer,
  work: { readonly binds: readonly PlannedBind[]; readonly isKnown: boolean },
  operation: Operation,
): Promise<{ readonly container: Container; readonly made: boolean }> {
  const name = containerName(pod, container.name);
  const image = container.image!;
  const { binds, isKnown } = work;
  const existing = await findContainer(room, name, operation);
  if (existing !== undefined) {
    const owner = existing.labels[POD_LABEL];
    if (owner === undefined) {
      throw new LaminaError("CONFLICT", `Container "${name}" exists and belongs to no pod. Remove or rename it`);
    }
    if (owner === pod.metadata.uid && existing.image === image) {
      if (existing.mounted && isKnown) return { container: existing, made: false };
      makeSubPaths(binds);
      return { container: await room.containers.mount(name, operation), made: false };
    }
    // Of a pod that is gone, or with another image than the pod wants by now.
    await room.containers.unmount(name, { lazy: false }, operation);
    await room.containers.remove(name, { force: false, volumes: true }, operation);
  }
  makeSubPaths(binds);
  const spec = {
    image,
    name,
    mounts: binds.map(({ mount }) => mount),
    read_only: container.securityContext?.readOnlyRootFilesystem ?? false,
    labels: {
      [POD_LABEL]: pod.metadata.uid,
      "io.kubernetes.pod.uid": pod.metadata.uid,
      "io.kubernetes.pod.name": pod.metadata.name,
      "io.kubernetes.pod.namespace": pod.metadata.namespace ?? "default",
      "io.kubernetes.container.name": container.name,
    },
  };
  const made = await room.containers.create(spec, operation, { mount: true });
  faultPoint("pod.container_made");
  return { container: made, made: true };
}

/**
 * Removes the pod's containers, and with them their anonymous volumes. Not there is success.
 *
 * @param force Also those that somebody works in.
 * @throws `CONFLICT` when somebody works in one.
 */
export async function removeContainers(
  room: PodRoom,
  pod: Pod & KubeObject,
  force: boolean,
  operation: Operation,
): Promise<void> {
  for (const { name: short } of containersOf(pod.spec)) {
    const name = containerName(pod, short);
    const existing = await findContainer(room, name, operation);
    if (existing === undefined || existing.labels[POD_LABEL] !== pod.metadata.uid) continue;
    await room.slots.run(async () => {
      if (!force) await room.containers.unmount(name, { lazy: false }, operation);
      await room.containers.remove(name, { force, volumes: true }, operation);
      faultPoint("pod.container_removed");
    });
  }
}

/** Whether a pod that was ready has all its roots mounted, as the kernel says: by an earlier process, then. */
export async function isStillUp(room: PodRoom, pod: Pod & KubeObject, operation: Operation): Promise<boolean> {
  const conditions = (pod.status?.conditions ?? []) as { type: string; status: string }[];
  if (!conditions.some(({ type, status }) => type === "Ready" && status === "True")) return false;
  for (const { name } of containersOf(pod.spec)) {
    const container = await findContainer(room, containerName(pod, name), operation);
    if (container?.mounted !== true || container.labels[POD_LABEL] !== pod.metadata.uid) return false;
  }
  return true;
}

/** Containers of pods that are not there any more. */
export async function removeOrphans(room: PodRoom, operation: Operation): Promise<void> {
  const pods = new Set(room.objects.list("Pod").map(({ metadata }) => metadata.uid));
  const orphans = room.containers.list().filter(({ labels }) => {
    const uid = labels[POD_LABEL];
    return uid !== undefined && !pods.has(uid);
  });
  for (const { id } of orphans) await room.containers.remove(id, { force: true, volumes: true }, operation);
}

async function findContainer(room: PodRoom, name: string, operation: Operation): Promise<Container | undefined> {
  try {
    return await room.containers.inspect(name, { size: false }, operation);
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

/**
 * Makes the directories that subPaths name and volumes do not have. They are walked beneath the volume; where one turns
 * out to be a link that leads elsewhere when it is bound, binding refuses it.
 */
function makeSubPaths(binds: readonly PlannedBind[]): void {
  for (const { mount, subPath } of binds) {
    if (subPath === undefined) continue;
    try {
      openBeneath(mount.source, subPath)[Symbol.dispose]();
    } catch (error) {
      if (!isLaminaError(error, "NOT_FOUND") || mount.read_only) throw error;
      const { mode } = Deno.statSync(mount.source);
      const options = { create: "directory", mode: (mode ?? 0o755) & 0o777 } as const;
      openInRoot(mount.source, subPath, options)[Symbol.dispose]();
    }
  }
}
