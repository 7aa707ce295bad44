/** Where what the manager has to tell goes: a pod's to the events about it, a container's to the event log. */
import type { EventSink } from "../../core/event_bus.ts";
import type { ObjectStore } from "../../objects/port.ts";
import type { WorkloadEvent } from "./manager_room.ts";

/** See the head of the file. */
export function reportTo(objects: Pick<ObjectStore, "event">, events: EventSink): (event: WorkloadEvent) => void {
  return ({ workload, type, reason, message }) => {
    const { kind, uid, namespace } = workload;
    if (kind === "pod") {
      const name = workload.name.slice(workload.name.indexOf("/") + 1);
      objects.event({ about: { kind: "Pod", namespace, name, uid }, type, reason, message });
    } else if (type === "Warning") {
      const action = reason.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
      events.emit({ kind: "container", action, id: uid, name: workload.name, attributes: { message } });
    }
  };
}
