/** `GET /events`. */
import * as z from "zod";
import type { Event } from "../../../core/model/system.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { imageLabels } from "../image_shape.ts";
import { orGone } from "../container_lookup.ts";
import { dockerEvent, EVENT_FILTERS, eventFits } from "../event_shape.ts";
import { type Filters, parseFilters } from "../filters.ts";
import { text, time_ms } from "../query.ts";
import { type DockerRoute, dockerRoute } from "../route.ts";

/** See the head of the file. */
export const eventRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "GET",
    path: "/events",
    query: z.object({ since: time_ms, until: time_ms, filters: text }),
    lane: "watch",
    handler: ({ runtime, query, operation }) => ({
      kind: "lines",
      items: events(runtime, { ...query, filters: parseFilters(query.filters, EVENT_FILTERS) }, operation.signal),
    }),
  }),
];

interface Wanted {
  /** Milliseconds since the epoch; absent: only what is to come. */
  readonly since?: number;
  /** Milliseconds since the epoch; absent: for ever. */
  readonly until?: number;
  readonly filters: Filters;
}

async function* events(
  runtime: LaminaRuntime,
  { since, until, filters }: Wanted,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const over = new AbortController();
  const source = runtime.system.events(
    since === undefined ? {} : { since: 0 },
    AbortSignal.any([signal, over.signal]),
  )[Symbol.asyncIterator]();
  try {
    while (true) {
      const event = await orTimeOut(source.next(), until);
      if (event === undefined || event.done) return;
      const time = Date.parse(event.value.time);
      if (until !== undefined && time > until) return;
      if (since !== undefined && time < since) continue;
      const shown = dockerEvent(event.value, labelsOf(runtime, event.value));
      if (shown !== undefined && eventFits(shown, filters)) yield shown;
    }
  } finally {
    over.abort();
    await source.return?.();
  }
}

/** `undefined` when the time comes first. What has happened already needs no time at all. */
async function orTimeOut(
  next: Promise<IteratorResult<Event>>,
  until_ms: number | undefined,
): Promise<IteratorResult<Event> | undefined> {
  if (until_ms === undefined) return await next;
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  // Longer waits than a timer can have are longer than a daemon runs.
  const timer = setTimeout(() => resolve(undefined), Math.min(Math.max(0, until_ms - Date.now()), 2 ** 31 - 1));
  try {
    return await Promise.race([next, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Labels of what an event is about, where that is still there. */
function labelsOf(runtime: LaminaRuntime, { kind, id, name }: Event): Readonly<Record<string, string>> {
  switch (kind) {
    case "container":
      return runtime.containers.list().find((container) => container.id === id)?.labels ?? {};
    case "volume":
      return orGone(() => runtime.volumes.inspect(name ?? id))?.labels ?? {};
    case "image": {
      const image = orGone(() => runtime.images.inspect(id));
      return image === undefined ? {} : imageLabels(image);
    }
    default:
      return {};
  }
}
