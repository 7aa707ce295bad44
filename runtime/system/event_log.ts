/** What happened lately: a ring of events and those who listen. */
import { LaminaError } from "../core/errors.ts";
import type { EventSink, NewEvent } from "../core/event_bus.ts";
import type { Event } from "../core/specs/system.ts";

/** How many events are remembered, and how many a listener may lag behind. */
export const EVENT_LIMIT = 1000;

interface Listener {
  readonly queue: Event[];
  wake(): void;
  lost: boolean;
}

/**
 * Remembers the last {@linkcode EVENT_LIMIT} events. Nothing is written to disk; sequence numbers grow over restarts
 * all the same, because the first is the time of the start in microseconds.
 */
export class EventLog implements EventSink {
  readonly #ring: Event[] = [];
  readonly #listeners = new Set<Listener>();
  #last: number;

  /** @param startedAt_ms Milliseconds since the epoch. */
  constructor(startedAt_ms: number) {
    this.#last = startedAt_ms * 1000;
  }

  /** See {@linkcode EventSink}. */
  emit(event: NewEvent): void {
    const whole: Event = {
      sequence: ++this.#last,
      time: new Date().toISOString(),
      kind: event.kind,
      action: event.action,
      id: event.id,
      ...(event.name === undefined ? {} : { name: event.name }),
      attributes: event.attributes ?? {},
    };
    this.#ring.push(whole);
    if (this.#ring.length > EVENT_LIMIT) this.#ring.shift();
    for (const listener of this.#listeners) {
      if (listener.queue.length >= EVENT_LIMIT) listener.lost = true;
      else listener.queue.push(whole);
      listener.wake();
    }
  }

  /**
   * Events after `since` that are still remembered, then each as it happens, until `signal` aborts. Without `since`:
   * only those to come. A gap between two sequence numbers shows what was forgotten meanwhile.
   *
   * @throws `RESOURCE_EXHAUSTED` in a listener that lags {@linkcode EVENT_LIMIT} events behind; the others go on.
   */
  async *listen(since: number | undefined, signal: AbortSignal): AsyncGenerator<Event> {
    let ready = Promise.withResolvers<void>();
    const listener: Listener = {
      queue: since === undefined ? [] : this.#ring.filter((event) => event.sequence > since),
      wake: () => ready.resolve(),
      lost: false,
    };
    signal.addEventListener("abort", listener.wake, { once: true });
    this.#listeners.add(listener);
    try {
      while (!signal.aborted) {
        const event = listener.queue.shift();
        if (event !== undefined) {
          yield event;
        } else if (listener.lost) {
          throw new LaminaError(
            "RESOURCE_EXHAUSTED",
            `Cannot follow the events: the reader is more than ${EVENT_LIMIT} behind. Read faster, and go on with "since"`,
          );
        } else {
          ready = Promise.withResolvers<void>();
          await ready.promise;
        }
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", listener.wake);
    }
  }
}
