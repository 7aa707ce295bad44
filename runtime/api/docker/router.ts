/** Answers requests by the dialect's table. Limits, deadlines and the stop are those of the native router. */
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import type { ByteStream, LaminaRuntime } from "../../services.ts";
import type { Lease } from "../lease.ts";
import { errorChain, type Logger, silentLogger } from "../log.ts";
import { parseJsonBody } from "../request.ts";
import type { Answered, Router } from "../router.ts";
import { ndjsonStream, progressStream, startedStream, untilAborted } from "../streams.ts";
import { API_VERSION, type MinorVersion, splitVersion } from "./api_version.ts";
import { dockerError } from "./errors.ts";
import { DockerMatcher } from "./matcher.ts";
import { parseDockerQuery } from "./query.ts";
import type { DockerAnswer, DockerContext, DockerRoute } from "./route.ts";
import { DOCKER_ROUTES } from "./route_table.ts";

/** What the dialect needs. */
export interface DockerRouterOptions {
  readonly runtime: LaminaRuntime;
  /** Of the native API. */
  readonly router: Router;
  readonly log?: Logger;
}

/** On every answer, also on errors: clients take the version that they speak from it. */
const HEADERS: Readonly<Record<string, string>> = {
  "api-version": API_VERSION,
  "docker-experimental": "false",
  "ostype": "linux",
  "server": `Lamina/${VERSION} (linux)`,
};

const matcher = new DockerMatcher(DOCKER_ROUTES);

/** See the head of the file. */
export class DockerRouter {
  readonly #runtime: LaminaRuntime;
  readonly #router: Router;
  readonly #log: Logger;

  constructor({ runtime, router, log }: DockerRouterOptions) {
    this.#runtime = runtime;
    this.#router = router;
    this.#log = log ?? silentLogger();
  }

  /** Answers one request. Never throws: whatever goes wrong is an answer. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const begun_ms = performance.now();
    const { pathname, searchParams } = new URL(request.url);
    let response: Response;
    try {
      const { version, path } = splitVersion(pathname);
      const { route, params } = matcher.match(request.method, path);
      const call = { version, params, query: searchParams, request };
      response = await this.#router.run(request, route, (lease) => this.#answer(route, call, lease));
    } catch (error) {
      this.#logFailure(request.method, pathname, error);
      if (!request.bodyUsed) await drain(request.body);
      response = dockerError(error, `${request.method} ${pathname.slice(0, 200)}`);
    }
    for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value);
    if (this.#log.level === "debug") {
      const took_ms = Math.round((performance.now() - begun_ms) * 1000) / 1000;
      const fields = { method: request.method, path: pathname, status: response.status, took_ms };
      this.#log.debug("docker request", fields);
    }
    return response;
  };

  async #answer(
    route: DockerRoute,
    { request, params, query, version }: Call,
    lease: Lease,
  ): Promise<Answered> {
    const { signal } = lease;
    const context: DockerContext<unknown, unknown> = {
      runtime: this.#runtime,
      params,
      query: parseDockerQuery(route.query, query) as never,
      body: await parseJsonBody(route, request, signal) as never,
      input: route.takesInput ? untilAborted(request.body ?? nothing(), signal) : nothing(),
      version,
      upgrades: request.headers.get("upgrade")?.toLowerCase() === "tcp",
      operation: { signal, progress: () => {} },
    };
    let answer: DockerAnswer;
    try {
      answer = await route.handler(context);
    } catch (error) {
      // Through the stream that the handler was given: the request's own is locked by it.
      await drain(context.input);
      throw error;
    }
    const onBroken = (error: unknown) => {
      if (!signal.aborted) this.#log.error("stream failed", { request: route.path, error: errorChain(error) });
    };
    return await this.#send(answer, route, lease, onBroken, request.method === "HEAD");
  }

  async #send(
    answer: DockerAnswer,
    route: DockerRoute,
    lease: Lease,
    onBroken: (error: unknown) => void,
    head: boolean,
  ): Promise<Answered> {
    switch (answer.kind) {
      case "json": {
        const { value, status, headers } = answer;
        return { response: Response.json(value, { status, headers }), over: true };
      }
      case "text": {
        const headers = { "content-type": "text/plain; charset=utf-8", ...answer.headers };
        return { response: new Response(head ? null : answer.text, { headers }), over: true };
      }
      case "empty":
        return { response: new Response(null, { status: answer.status, headers: answer.headers }), over: true };
      case "upgrade":
        // The server ends the connection after this status.
        return {
          response: new Response(null, { status: 101, headers: { connection: "Upgrade", upgrade: "tcp" } }),
          over: true,
        };
      case "tar":
        return streamed(await startedStream(answer.stream, lease, onBroken), "application/x-tar", answer.headers);
      case "lines":
        return streamed(ndjsonStream(answer.items, lease, onBroken), "application/json");
      case "progress": {
        const body = await progressStream(answer.work, `${route.methods} ${route.path}`, lease, answer.lines);
        return streamed(body, "application/json");
      }
    }
  }

  #logFailure(method: string, path: string, error: unknown): void {
    if (!(error instanceof LaminaError) && !(error instanceof DOMException)) {
      this.#log.error("unexpected failure", { method, path, error: errorChain(error) });
    } else if (isLaminaError(error, "INTERNAL", "DATA_LOSS")) {
      this.#log.error("docker request failed", { method, path, code: error.code, error: errorChain(error) });
    }
  }
}

/** Bytes and milliseconds of a body that nobody wanted. */
const DRAIN_BYTES = 256 * 1024;
const DRAIN_MS = 1000;

/**
 * Reads what is left of a small body: a client that is still writing when the connection closes would see a broken pipe
 * instead of the answer.
 */
async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (body === null || body.locked) return;
  const reader = body.getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), DRAIN_MS);
  try {
    for (let left_bytes = DRAIN_BYTES; left_bytes > 0;) {
      const { done, value } = await reader.read();
      if (done) return;
      left_bytes -= value.length;
    }
  } catch {
    // The client has gone: there is nobody to answer.
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
}

/** A request, taken apart. */
interface Call {
  readonly request: Request;
  readonly version: MinorVersion;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

function streamed(body: ByteStream, type: string, headers: Readonly<Record<string, string>> = {}): Answered {
  return { response: new Response(body, { headers: { "content-type": type, ...headers } }), over: false };
}

function nothing(): ByteStream {
  return new ReadableStream({ start: (controller) => controller.close() });
}
