/** What is said of a pod in its status. Pure. */
import type { KubeObject } from "../core/model/object.ts";
import type { Container } from "../core/model/container.ts";
import { type Pod, type PodContainer } from "../core/specs/kube/pod.ts";

/** How far a container of a pod is. */
export interface ContainerProgress {
  /** Its root is mounted. */
  readonly container?: Container;
  /** Why it is not. */
  readonly waiting?: { readonly reason: string; readonly message: string };
}

/** How far a pod is. */
export interface PodProgress {
  /** Host paths of its volumes, when all of them are ready. */
  readonly paths?: ReadonlyMap<string, string>;
  /** Why not all are. */
  readonly missing?: string;
  /** By name of the container. */
  readonly containers: ReadonlyMap<string, ContainerProgress>;
}

interface Condition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime: string;
}

/**
 * The new status; fields that others have set stay.
 *
 * @param now ISO 8601.
 */
export function podStatus(pod: Pod & KubeObject, progress: PodProgress, now: string): Record<string, unknown> {
  const before = (pod.status ?? {}) as { conditions?: Condition[]; startTime?: string };
  const isReady = (list: readonly PodContainer[]) =>
    list.every(({ name }) => progress.containers.get(name)?.container !== undefined);
  const volumes = progress.paths !== undefined;
  const containers = volumes && isReady(pod.spec.containers) && isReady(pod.spec.initContainers ?? []);
  const waiting = [...progress.containers].find(([, { waiting }]) => waiting !== undefined);
  const whyVolumes = { reason: "VolumesNotReady", message: progress.missing ?? "the volumes are being mounted" };
  const whyContainers = volumes
    ? {
      reason: "ContainersNotReady",
      message: waiting === undefined
        ? "the roots of the containers are being mounted"
        : `container "${waiting[0]}": ${waiting[1].waiting!.message}`,
    }
    : whyVolumes;
  const conditions: ReadonlyArray<readonly [string, boolean, { reason: string; message: string }]> = [
    ["VolumesReady", volumes, whyVolumes],
    ["PodReadyToStartContainers", containers, whyContainers],
    ["ContainersReady", containers, whyContainers],
    ["Ready", containers, whyContainers],
  ];
  return {
    ...before,
    phase: containers ? "Running" : "Pending",
    startTime: before.startTime ?? now,
    conditions: [
      ...(before.conditions ?? []).filter(({ type }) => !conditions.some(([known]) => known === type)),
      ...conditions.map(([type, holds, why]) => condition(before.conditions ?? [], type, holds, why, now)),
    ],
    volumes: volumeStatuses(progress.paths),
    initContainerStatuses: containerStatuses(pod.spec.initContainers, progress),
    containerStatuses: containerStatuses(pod.spec.containers, progress),
  };
}

function condition(
  before: readonly Condition[],
  type: string,
  holds: boolean,
  why: { reason: string; message: string },
  now: string,
): Condition {
  const status = holds ? "True" : "False";
  const old = before.find((one) => one.type === type);
  const lastTransitionTime = old?.status === status ? old.lastTransitionTime : now;
  return { type, status, lastTransitionTime, ...(holds ? {} : why) };
}

function volumeStatuses(paths: ReadonlyMap<string, string> | undefined) {
  return paths === undefined ? undefined : [...paths].map(([name, path]) => ({ name, path }));
}

function containerStatuses(list: readonly PodContainer[] | undefined, progress: PodProgress) {
  return list?.map(({ name, image, volumeDevices = [] }) => {
    const { container, waiting } = progress.containers.get(name) ?? {};
    const reason = progress.paths === undefined ? "ContainerCreating" : "RootNotMounted";
    return {
      name,
      image: image ?? "",
      ready: container !== undefined,
      ...(container === undefined ? { state: { waiting: waiting ?? { reason } } } : {
        state: { running: { startedAt: container.created_at } },
        containerID: `lamina://${container.id}`,
        imageID: container.image_id,
        rootfs: container.rootfs,
        mounts: container.oci.mounts,
        ...(container.oci.linux === undefined ? {} : { linux: container.oci.linux }),
      }),
      ...(volumeDevices.length === 0 || progress.paths === undefined ? {} : {
        devices: volumeDevices.map((device) => ({
          name: device.name,
          devicePath: device.devicePath,
          hostPath: progress.paths!.get(device.name),
        })),
      }),
    };
  });
}
