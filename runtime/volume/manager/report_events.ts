/** Where what the manager has to tell goes: a pod's to the events about it, everything else to the event log. */
import type { EventSink } from "../../core/event_bus.ts";
import type { ObjectStore } from "../../objects/port.ts";
import type { WorkloadEvent } from "./manager_room.ts";

/** As Docker calls them. */
const SUCCESSES: Readonly<Record<string, string>> = {
  SuccessfulMountVolume: "mount",
  SuccessfulUnmountVolume: "unmount",
};

/** See the head of the file. */
export function reportTo(objects: Pick<ObjectStore, "event">, events: EventSink): (event: WorkloadEvent) => void {
  return ({ workload, type, reason, message, volume }) => {
    const { kind, uid, name, namespace } = workload;
    if (kind === "pod") {
      const about = { kind: "Pod", namespace, name: name.slice(name.indexOf("/") + 1), uid };
      objects.event({ about, type, reason, message });
    } else if (type === "Normal") {
      const action = SUCCESSES[reason];
      if (action === undefined || volume === undefined) return;
      events.emit({ kind: "volume", action, id: volume, name: volume, attributes: { [kind]: name } });
    } else {
      const action = reason.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
      const attributes = { message, ...(volume !== undefined && { volume }) };
      if (kind === "container") events.emit({ kind, action, id: uid, name, attributes });
      else events.emit({ kind: "volume", action, id: volume ?? "", name: volume ?? "", attributes });
    }
  };
}
