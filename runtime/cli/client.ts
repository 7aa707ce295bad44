/** Speaks the API: to the daemon's socket, or to the same router in this process. */
import { type ErrorCode, LaminaError, messageOf } from "../core/errors.ts";
import type { ProgressEvent } from "../core/operation.ts";
import type { StreamLine } from "../core/specs/system.ts";
import type { ByteStream } from "../services.ts";
import { jsonLines } from "./json_lines.ts";

/** What goes with a call. */
export interface CallOptions {
  readonly query?: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly archive?: ByteStream;
  readonly signal: AbortSignal;
  /** Told what the API says about its answer besides. */
  readonly onWarning?: (text: string) => void;
}

/** Answers requests: a daemon, or a router. */
export interface Backend extends AsyncDisposable {
  /** `daemon` or `embedded`. */
  readonly kind: "daemon" | "embedded";
  /** The daemon's socket or the root. */
  readonly place: string;
  fetch(request: Request): Promise<Response>;
}

/** Calls of the API. What the API reports as failure is thrown as the {@linkcode LaminaError} that it was. */
export class Client implements AsyncDisposable {
  constructor(readonly backend: Backend) {}

  /** A call that answers with JSON; `undefined` for 204. */
  async json<T>(method: string, path: string, options: CallOptions): Promise<T> {
    const response = await this.#send(method, path, options, "application/json");
    if (response.status === 204) return undefined as T;
    return await this.#guard(response.json(), options.signal) as T;
  }

  /** A call that reports progress and then its result. */
  async withProgress<T>(
    method: string,
    path: string,
    options: CallOptions,
    onProgress: (event: ProgressEvent) => void,
  ): Promise<T> {
    const response = await this.#send(method, path, options, "application/x-ndjson");
    for await (const line of this.#lines<StreamLine>(response, options.signal)) {
      if (line.type === "progress") onProgress(line);
      else if (line.type === "result") return line.result as T;
      else throw new LaminaError(line.error.code, line.error.message, { details: line.error.details as never });
    }
    throw brokenOff();
  }

  /** A call that answers with bytes. The stream fails when the connection breaks before its end. */
  async bytes(path: string, options: CallOptions): Promise<ByteStream> {
    return (await this.#send("GET", path, options, "application/x-tar")).body as ByteStream;
  }

  /** A call that answers with one JSON object a line, without end. */
  async *lines<T>(path: string, options: CallOptions): AsyncGenerator<T> {
    const response = await this.#send("GET", path, options, "application/x-ndjson");
    yield* this.#lines<T>(response, options.signal);
  }

  /** Ends the connection, or the runtime in this process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.backend[Symbol.asyncDispose]();
  }

  async #send(method: string, path: string, options: CallOptions, accept: string): Promise<Response> {
    const url = new URL(`http://lamina${path}`);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(key, String(one));
    }
    const headers: Record<string, string> = { accept };
    let body: BodyInit | undefined;
    if (options.archive !== undefined) {
      headers["content-type"] = "application/octet-stream";
      body = options.archive;
    } else if (options.body !== undefined) {
      headers["content-type"] = "application/json";
      body = JSON.stringify(options.body);
    }
    const init: RequestInit & { duplex?: "half" } = { method, headers, body, signal: options.signal, duplex: "half" };
    const response = await this.#guard(this.backend.fetch(new Request(url, init)), options.signal);
    if (!response.ok) throw await failureOf(response);
    for (const warning of (response.headers.get("lamina-warning") ?? "").split(",")) {
      if (warning.trim() !== "") options.onWarning?.(decodeURIComponent(warning.trim()));
    }
    return response;
  }

  async *#lines<T>(response: Response, signal: AbortSignal): AsyncGenerator<T> {
    const lines = jsonLines(response.body as ByteStream)[Symbol.asyncIterator]();
    try {
      while (true) {
        const { done, value } = await this.#guard(lines.next(), signal);
        if (done) return;
        yield value as T;
      }
    } finally {
      await lines.return?.(undefined);
    }
  }

  /** Network failures as Lamina's own; the signal's reason where that was the cause. */
  async #guard<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof LaminaError) throw error;
      throw new LaminaError(
        "UNAVAILABLE",
        `The connection to the ${
          this.backend.kind === "daemon" ? "daemon" : "runtime"
        } at ${this.backend.place} broke: ` +
          `${messageOf(error)}. See whether it still runs`,
        { cause: error },
      );
    }
  }
}

/** A path of the API: each value becomes one segment. */
export function apiPath(parts: TemplateStringsArray, ...values: string[]): string {
  return parts.reduce((path, part, i) => {
    const value = values[i - 1]!;
    // A URL would swallow these.
    if (value === "" || value === "." || value === "..") {
      throw new LaminaError("INVALID_ARGUMENT", `Invalid name ${JSON.stringify(value)}`);
    }
    return path + encodeURIComponent(value) + part;
  });
}

function brokenOff(): LaminaError {
  return new LaminaError("UNAVAILABLE", "The answer broke off before its result. See whether the daemon still runs");
}

async function failureOf(response: Response): Promise<LaminaError> {
  const text = await response.text().catch(() => "");
  try {
    const { code, message, details } = JSON.parse(text);
    if (typeof code === "string" && typeof message === "string") {
      return new LaminaError(code as ErrorCode, message, { details: details ?? {} });
    }
  } catch { /* not our daemon's words: shown below */ }
  return new LaminaError("INTERNAL", `The daemon answered ${response.status}: ${text.slice(0, 200)}`);
}
