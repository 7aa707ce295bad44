/** Events about workloads: what failed and why, what came up. With the kubelet's reasons. */
import type { LaminaError } from "../../core/errors.ts";
import type { ActualWorld } from "./actual_world.ts";
import type { DesiredWorld } from "./desired_world.ts";
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
  expand: "FileSystemResizeSuccessful",
};

interface Worlds {
  readonly room: Pick<ManagerRoom, "report">;
  readonly desired: DesiredWorld;
  readonly actual: ActualWorld;
}

/** Reports how an operation on a volume ended. */
export function tell({ room, desired, actual }: Worlds, planned: PlannedOperation, error?: LaminaError): void {
  const reason = error === undefined ? SUCCEEDED[planned.name] : FAILED[planned.name];
  if (reason === undefined || planned.volume === undefined) return;
  const wanted = desired.volumes.get(planned.volume);
  const workload: WorkloadEvent["workload"] | undefined = wanted?.workload ??
    actual.volumes.get(planned.volume)?.workload;
  if (workload === undefined) return;
  const volume = planned.volume.slice(planned.volume.indexOf("/") + 1);
  if (error === undefined) {
    // Setting up again what is up is nothing that people have to hear of.
    if (planned.name === "volume_mount" && planned.again) return;
    room.report({ workload, type: "Normal", reason, message: `${planned.name} succeeded for volume "${volume}"` });
  } else {
    const message = `${planned.name} failed for volume "${volume}": ${error.message}`;
    room.report({ workload, type: "Warning", reason, message });
  }
}
