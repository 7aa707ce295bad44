/** Answers requests by the route table: match, validate, wait for a place, run, send. */
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ByteStream, LaminaRuntime } from "../services.ts";
import { errorResponse } from "./errors.ts";
import { Gate } from "./gate.ts";
import { jsonResponse } from "./json_answer.ts";
import { Lease } from "./lease.ts";
import { errorChain, type Logger, silentLogger } from "./log.ts";
import { RouteMatcher } from "./matcher.ts";
import { archiveBody, parseJsonBody, parseParams, parseQuery } from "./request.ts";
import type { Lane, Route, RouteContext, TarAnswer } from "./route.ts";
import { ROUTES } from "./route_table.ts";
import { ndjsonStream, progressStream, startedStream, untilAborted } from "./streams.ts";

/** What a router needs. */
export interface RouterOptions {
  readonly runtime: LaminaRuntime;
  readonly log?: Logger;
  readonly gate?: Gate;
  /** Compare each JSON answer with its schema and fail on a difference. For tests: it costs time. */
  readonly checkAnswers?: boolean;
  /** Milliseconds by lane; default a minute, an hour, for ever. */
  readonly deadlines_ms?: Partial<Record<Lane, number>>;
}

/** The answer to a call. */
export interface Answered {
  readonly response: Response;
  /** Nothing of the call runs any more; otherwise the answer's stream ends the lease. */
  readonly over: boolean;
}

/** What a client reads of an answer's headers is limited. */
const MOST_WARNINGS = 10;
const DEADLINES_MS: Readonly<Record<Lane, number>> = { quick: 60_000, long: 3600_000, watch: Infinity };

/** One router serves any number of sockets, or a command line in the same process. */
export class Router {
  readonly #matcher = new RouteMatcher(ROUTES);
  readonly #runtime: LaminaRuntime;
  readonly #log: Logger;
  readonly #gate: Gate;
  readonly #options: RouterOptions;
  readonly #watchers = new AbortController();
  readonly #everything = new AbortController();

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#runtime = options.runtime;
    this.#log = options.log ?? silentLogger();
    this.#gate = options.gate ?? new Gate();
  }

  /** Answers one request. Never throws: whatever goes wrong is an answer. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const begun_ms = performance.now();
    const path = pathOf(request.url);
    let response: Response;
    try {
      const { route, params } = this.#matcher.match(request.method, path);
      const watches = route.watch !== undefined && /[?&]watch=(true|1)(&|#|$)/.test(request.url);
      const row = watches ? route.watch! : route;
      response = await this.run(request, row, (lease) => this.#answer(row, params, request, lease));
    } catch (error) {
      if (!(error instanceof LaminaError) && !(error instanceof DOMException)) {
        this.#log.error("unexpected failure", { method: request.method, path, error: errorChain(error) });
      } else if (isLaminaError(error, "INTERNAL", "DATA_LOSS")) {
        this.#log.error("request failed", { method: request.method, path, code: error.code, error: errorChain(error) });
      }
      response = errorResponse(error, `${request.method} ${path.slice(0, 200)}`);
    }
    if (this.#log.level === "debug") {
      const took_ms = Math.round((performance.now() - begun_ms) * 1000) / 1000;
      this.#log.debug("request", { method: request.method, path, status: response.status, took_ms });
    }
    return response;
  };

  /** Ends the streams that wait for something to happen; new calls are refused from now on. */
  stopWatchers(): void {
    this.#watchers.abort(stopping());
  }

  /** Aborts whatever runs; each call rolls back and answers `UNAVAILABLE`. */
  abortAll(): void {
    this.#everything.abort(stopping());
  }

  /** Calls that run now. */
  get active(): number {
    return this.#gate.active;
  }

  /** Resolves when no call runs. */
  idle(): Promise<void> {
    return this.#gate.idle();
  }

  async #admit(request: Request, lane: Lane, deadline_ms: number = DEADLINES_MS[lane]): Promise<Lease> {
    if (this.#watchers.signal.aborted) throw this.#watchers.signal.reason;
    const signals = [request.signal, this.#everything.signal];
    if (lane === "watch") signals.push(this.#watchers.signal);
    const lease = new Lease(signals, this.#options.deadlines_ms?.[lane] ?? deadline_ms);
    await lease.enter(this.#gate, lane);
    return lease;
  }

  /**
   * Runs a call of any dialect, once there is a place for it: all sockets share the limits, and stop together.
   *
   * @param place Lane, and milliseconds where its own deadline is not meant.
   * @param answer Does what is asked for.
   * @throws `UNAVAILABLE` (too many wait, the daemon is stopping); what `answer` throws, or the reason of an abort.
   */
  async run(
    request: Request,
    place: Pick<Route, "lane" | "deadline_ms">,
    answer: (lease: Lease) => Promise<Answered>,
  ): Promise<Response> {
    const lease = await this.#admit(request, place.lane, place.deadline_ms);
    try {
      const { response, over } = await answer(lease);
      if (over) lease.end();
      return response;
    } catch (error) {
      // Whoever aborted gave the reason; services may have put it in words of their own.
      const reason = lease.signal.aborted && !(error instanceof LaminaError) ? lease.signal.reason : error;
      lease.end();
      throw reason;
    }
  }

  async #answer(
    route: Route,
    params: Readonly<Record<string, string>>,
    request: Request,
    lease: Lease,
  ): Promise<Answered> {
    const url = new URL(request.url);
    const { signal } = lease;
    const archive = archiveBody(route, request);
    const said: string[] = [];
    const base: Omit<RouteContext<unknown, unknown, unknown>, "operation"> = {
      runtime: this.#runtime,
      params: parseParams(route, params) as never,
      query: parseQuery(route, url.searchParams) as never,
      archive: archive === undefined ? undefined : untilAborted(archive, signal),
      body: await parseJsonBody(route, request, signal) as never,
      warn: (text) => void said.push(text),
    };
    const attempted = `${route.method} ${url.pathname.slice(0, 200)}`;
    const run = async (progress: Operation["progress"] = () => {}): Promise<unknown> =>
      this.#checked(route, await route.handler({ ...base, operation: { signal, progress } }));
    const onBroken = (error: unknown) => {
      if (!signal.aborted) this.#log.error("stream failed", { request: attempted, error: errorChain(error) });
    };
    const { response: spec } = route;
    switch (spec.kind) {
      case "json":
        if (route.progress && accepts(request, "application/x-ndjson")) {
          return streamed(await progressStream(run, attempted, lease), "application/x-ndjson");
        }
        return { response: warned(jsonResponse(await run(), spec.status ?? 200), said), over: true };
      case "empty":
        await run();
        return { response: new Response(null, { status: 204 }), over: true };
      case "text": {
        const headers = { "content-type": spec.type };
        return { response: new Response(await run() as string, { headers }), over: true };
      }
      case "html": {
        const headers = { "content-type": "text/html; charset=utf-8" };
        return { response: new Response(await run() as string, { headers }), over: true };
      }
      case "tar": {
        const answer = await run() as ByteStream | TarAnswer;
        const { stream, warnings } = answer instanceof ReadableStream ? { stream: answer, warnings: [] } : answer;
        const { response, over } = streamed(await startedStream(stream, lease, onBroken), "application/x-tar");
        return { response: warned(response, warnings), over };
      }
      case "ndjson":
        return streamed(ndjsonStream(await run() as AsyncIterable<unknown>, lease, onBroken), "application/x-ndjson");
    }
  }

  #checked(route: Route, value: unknown): unknown {
    if (!this.#options.checkAnswers || route.response.kind !== "json") return value;
    const parsed = route.response.schema.safeParse(value);
    if (parsed.success) return value;
    throw new LaminaError("INTERNAL", `The answer of ${route.id} breaks its schema: ${messageOf(parsed.error)}`);
  }
}

function stopping(): LaminaError {
  return new LaminaError("UNAVAILABLE", "The daemon is stopping. Try again when it runs");
}

/** The same answer with what is to be said about it. */
function warned(response: Response, warnings: readonly string[]): Response {
  for (const warning of warnings.slice(0, MOST_WARNINGS)) {
    response.headers.append("lamina-warning", encodeURIComponent(warning.slice(0, 1000).toWellFormed()));
  }
  return response;
}

function streamed(body: ByteStream, type: string): Answered {
  return {
    response: new Response(body, { headers: { "content-type": type, "cache-control": "no-store" } }),
    over: false,
  };
}

function accepts(request: Request, type: string): boolean {
  return (request.headers.get("accept") ?? "").toLowerCase().includes(type);
}

/** The path as it was sent: `URL` would not change it further, but parsing a second time costs more than this. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const path = start < 0 ? "/" : url.slice(start);
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}
