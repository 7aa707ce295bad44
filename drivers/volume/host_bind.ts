/** How a directory or file of this machine becomes a volume: by a bind with all that is mounted below it. */
import type { Mount } from "../../runtime/core/mount.ts";
import { isReadOnlyDevice } from "./device_use.ts";
import { containersOfPod } from "./pod_resources.ts";
import type { VolumeSpec, Workload } from "./port.ts";

/**
 * Mounts that the host makes below it later appear in the workload; the other way only where a container asks for it.
 * A read-only volume is cut off from both: what came later would be writable. It is shared with the workload's own
 * binds alone, so that these may ask for propagation all the same.
 *
 * @param source Canonical.
 */
export function hostBind(source: string, spec: VolumeSpec, workload: Workload): Mount {
  const propagation = spec.read_only || isReadOnlyDevice(spec)
    ? ["ro", "rprivate", "rshared"]
    : [isBidirectional(spec.name, workload) ? "rshared" : "rslave"];
  return { type: "bind", source, target: "", options: ["rbind", ...propagation] };
}

/** Whether a container of the pod wants its own mounts in this volume to reach the host. */
function isBidirectional(volume: string, workload: Workload): boolean {
  return containersOfPod(workload.pod).some(({ volumeMounts }) =>
    volumeMounts?.some((mount) => mount.name === volume && mount.mountPropagation === "Bidirectional") ?? false
  );
}
