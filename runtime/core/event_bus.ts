/** Where services tell what they did. */
import type { Event } from "./specs/system.ts";

/** An event without what the bus adds. */
export type NewEvent = Pick<Event, "kind" | "action" | "id"> & Partial<Pick<Event, "name" | "attributes">>;

/** Receives events after the write that made them true. */
export interface EventSink {
  emit(event: NewEvent): void;
}
