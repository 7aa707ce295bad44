/** What the API shows of the manager. */
import type { OperationService } from "../../services.ts";
import type { VolumeManager } from "./port.ts";

/** The manager, read only. */
export function operationService(manager: VolumeManager): OperationService {
  return {
    list: () => manager.operations(),
    volumesInUse: () => manager.volumes(),
    metrics: () => manager.metrics(),
  };
}
