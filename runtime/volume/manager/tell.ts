/** Events about workloads: what failed and why, what came up. With the kubelet's reasons. */
import type { LaminaError } from "../../core/errors.ts";
import type { ActualWorld } from "./actual_world.ts";
import type { DesiredWorld } from "./desired_world.ts";
import type { Task } from "./executor.ts";
import type { ManagerRoom, WorkloadEvent } from "./manager_room.ts";
import type { OperationName, PlannedOperation } from "./states.ts";

const FAILED: Readonly<Record<OperationName, string>> = {
  attach: "FailedAttachVolume",
  mount_device: "FailedMountDevice",
  volume_mount: "FailedMount",
  expand: "VolumeResizeFailed",
  root_mount: "FailedMount",
  volume_unmount: "FailedUnMount",
  unmount_device: "FailedUnmountDevice",
  detach: "FailedDetachVolume",
};
const SUCCEEDED: Partial<Readonly<Record<OperationName, string>>> = {
  attach: "SuccessfulAttachVolume",
  volume_mount: "SuccessfulMountVolume",
  volume_unmount: "SuccessfulUnmountVolume",
};
/** Of what is left when nobody wants it any more. */
const NOBODY = { kind: "client", uid: "", name: "", namespace: "" } as const;

interface Worlds {
  readonly room: Pick<ManagerRoom, "report">;
  readonly desired: DesiredWorld;
  readonly actual: ActualWorld;
}

/** Reports how an operation on a volume ended. */
export function tell(worlds: Worlds, task: Pick<Task, "planned" | "workload">, error?: LaminaError): void {
  const { planned } = task;
  const { room } = worlds;
  const reason = error === undefined ? SUCCEEDED[planned.name] : FAILED[planned.name];
  const workload = task.workload ?? workloadOf(worlds, planned);
  const volume = planned.volume === undefined ? idOf(planned.device) : nameOf(planned.volume);
  if (reason === undefined || volume === undefined || workload === undefined) return;
  if (error === undefined) {
    // Setting up again what is up is nothing that people have to hear of; nor of what goes with its pod.
    if (planned.again || (planned.name === "volume_unmount" && workload.kind === "pod")) return;
    const message = `${planned.name} succeeded for volume "${volume}"`;
    room.report({ workload, type: "Normal", reason, message, volume });
  } else {
    const message = `${planned.name} failed for volume "${volume}": ${error.message}`;
    room.report({ workload, type: "Warning", reason, message, volume });
  }
}

/** Reports what a volume has less of than was asked for. */
export function tellWarning(worlds: Worlds, planned: PlannedOperation, message: string): void {
  const workload = workloadOf(worlds, planned);
  if (planned.volume === undefined || workload === undefined) return;
  const text = `Volume "${nameOf(planned.volume)}": ${message}`;
  worlds.room.report({ workload, type: "Warning", reason: "VolumeWarning", message: text });
}

function workloadOf({ desired, actual }: Worlds, { volume }: PlannedOperation): WorkloadEvent["workload"] | undefined {
  if (volume === undefined) return NOBODY;
  return desired.volumes.get(volume)?.workload ?? actual.volumes.get(volume)?.workload;
}

/** Of a key `WORKLOAD/NAME`. */
function nameOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}

/** Of a key `PLUGIN VOLUME-ID`. */
function idOf(key: string | undefined): string | undefined {
  return key?.slice(key.indexOf(" ") + 1);
}
