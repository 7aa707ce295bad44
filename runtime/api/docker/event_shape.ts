/** Events in Docker's shape. Pure. */
import type { Event } from "../../core/model/system.ts";
import { anyFits, type Filters } from "./filters.ts";
import { shortName } from "./image_names.ts";

/** Docker's words for what Lamina calls otherwise. */
const ACTIONS: Readonly<Record<string, string>> = {
  "image import": "load",
  "image remove": "delete",
  "container remove": "destroy",
  "volume remove": "destroy",
};

/** What `GET /events` can be asked for; the rest of Docker's names fit nothing here. */
export const EVENT_FILTERS: readonly string[] = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
];

/** A line of `GET /events`. */
export interface DockerEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: "local";
  /** Seconds. */
  readonly time: number;
  /** Nanoseconds: more digits than a number of JSON has here, the last three are not exact. */
  readonly timeNano: number;
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
}

/**
 * An event as Docker tells it; `undefined` for kinds that Docker does not have.
 *
 * @param labels Of the object, where it is still there.
 */
export function dockerEvent(event: Event, labels: Readonly<Record<string, string>>): DockerEvent | undefined {
  if (event.kind === "union") return undefined;
  const type = event.kind === "system" ? "daemon" : event.kind;
  const action = ACTIONS[`${event.kind} ${event.action}`] ?? event.action;
  const time_ms = Date.parse(event.time);
  const name = event.name === undefined || event.kind !== "image" ? event.name : shortName(event.name);
  const id = event.kind === "volume" ? event.name ?? event.id : event.id;
  const { image } = event.attributes;
  return {
    // As before 1.22; "docker events" of old clients and many scripts read these.
    ...(type === "container" || type === "image" ? { status: action, id } : {}),
    ...(type === "container" && image !== undefined ? { from: image } : {}),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: { ...labels, ...event.attributes, ...(name === undefined ? {} : { name }) } },
    scope: "local",
    time: Math.floor(time_ms / 1000),
    timeNano: time_ms * 1_000_000,
  };
}

/** Whether filters let an event through. */
export function eventFits(event: DockerEvent, filters: Filters): boolean {
  const { ID, Attributes } = event.Actor;
  const named = (value: string) =>
    ID === value || Attributes.name === value || ID.startsWith(value) && /^[0-9a-f]+$/.test(value);
  const label = (wanted: string) => {
    const [key = "", ...value] = wanted.split("=");
    return Object.hasOwn(Attributes, key) && (value.length === 0 || Attributes[key] === value.join("="));
  };
  return anyFits(filters, "type", (type) => type === event.Type) &&
    anyFits(filters, "event", (action) => action === event.Action) &&
    anyFits(filters, "scope", (scope) => scope === "local") &&
    (filters.get("label") ?? []).every(label) &&
    ["container", "volume", "daemon", "network", "plugin", "service", "node", "secret", "config"].every((type) =>
      anyFits(filters, type, (value) => event.Type === type && named(value))
    ) &&
    anyFits(filters, "image", (value) => {
      if (event.Type === "image") {
        return named(value) || ID === `sha256:${value}` || Attributes.name === `${value}:latest`;
      }
      return event.Type === "container" && event.from === value;
    });
}
