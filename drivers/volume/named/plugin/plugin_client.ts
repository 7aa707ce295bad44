/** Calls a Docker volume plugin: JSON by POST, with patience for one that is not up yet, and with none for nonsense. */
import { isLaminaError, LaminaError, messageOf } from "../../../../runtime/core/errors.ts";
import { abortable } from "../../../../runtime/core/keyed_lock.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import type { PluginAddress } from "./find_plugins.ts";

/** How long a client waits. All in milliseconds. */
export interface PluginPatience {
  /** Before each further try to reach a plugin that is not up. */
  readonly delays_ms: readonly number[];
  /** For `Create` and `Mount`. */
  readonly slowCall_ms: number;
  /** For all others. */
  readonly call_ms: number;
  /** For a look at what the plugin has, activation included; default 5000. */
  readonly look_ms?: number;
}

/** As Docker's: 1, 2, 4, 8 s and so on for about 30 s in all. */
export const DOCKER_PATIENCE: PluginPatience = {
  delays_ms: [1000, 2000, 4000, 8000, 15_000],
  slowCall_ms: 120_000,
  call_ms: 60_000,
};

const LOOK_MS = 5000;
/** Who hangs is not asked again and again by everybody who only looks. */
const SILENCE_MS = 30_000;
const MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json";
const MAX_ANSWER_BYTES = 4 << 20;
const SLOW = new Set(["VolumeDriver.Create", "VolumeDriver.Mount"]);

/** A plugin answered that it cannot, in words of its own. */
export function refusalOf(error: unknown): string | undefined {
  if (!isLaminaError(error)) return undefined;
  const { plugin_error } = error.details;
  return typeof plugin_error === "string" ? plugin_error : undefined;
}

/** How long one call may take, and before which further tries to reach the plugin it waits. */
interface CallLimits {
  readonly timeout_ms: number;
  readonly delays_ms: readonly number[];
}

/** One plugin. It is activated once, before the first call. */
export class PluginClient implements Disposable {
  readonly name: string;
  readonly #address: PluginAddress;
  readonly #patience: PluginPatience;
  #http: Deno.HttpClient | undefined;
  #active = false;
  /** It hung when somebody looked. */
  #silent: { readonly error: LaminaError; readonly until_ms: number } | undefined;
  /** One of the calls that wait for the activation does it, as long as it is wanted. */
  #activating: { readonly done: Promise<void>; readonly signal: AbortSignal } | undefined;

  constructor(name: string, address: PluginAddress, patience: PluginPatience = DOCKER_PATIENCE) {
    this.name = name;
    this.#address = address;
    this.#patience = patience;
  }

  /**
   * Calls `/METHOD` and gives the answer's fields.
   *
   * @throws `UNAVAILABLE`: not reachable, or an answer that is none; with `details.plugin_error` when the plugin itself
   * refused. `DEADLINE_EXCEEDED`; the signal's reason.
   */
  async call(
    method: string,
    body: Readonly<Record<string, unknown>>,
    operation: Operation,
  ): Promise<Readonly<Record<string, unknown>>> {
    await this.#activate(operation);
    const timeout_ms = SLOW.has(method) ? this.#patience.slowCall_ms : this.#patience.call_ms;
    return await this.#post(method, body, operation, { timeout_ms, delays_ms: this.#patience.delays_ms });
  }

  /**
   * The same for whoever only wants to see what there is: a plugin that is not up is not waited for, and one that
   * hangs not for long.
   *
   * @throws as {@linkcode PluginClient.call}.
   */
  async look(
    method: string,
    body: Readonly<Record<string, unknown>>,
    operation: Operation,
  ): Promise<Readonly<Record<string, unknown>>> {
    const begun_ms = performance.now();
    if (this.#silent !== undefined && begun_ms < this.#silent.until_ms) throw this.#silent.error;
    const end_ms = begun_ms + (this.#patience.look_ms ?? LOOK_MS);
    const limits = () => ({ timeout_ms: Math.max(1, Math.round(end_ms - performance.now())), delays_ms: [] });
    try {
      // Not the activation that others wait for: theirs is patient.
      if (!this.#active) await this.#handshake(operation, limits());
      return await this.#post(method, body, operation, limits());
    } catch (error) {
      if (isLaminaError(error, "DEADLINE_EXCEEDED") && !operation.signal.aborted) {
        this.#silent = { error, until_ms: performance.now() + SILENCE_MS };
      }
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#http?.close();
    this.#http = undefined;
  }

  async #activate(operation: Operation): Promise<void> {
    while (!this.#active) {
      const { signal } = operation;
      const limits = { timeout_ms: this.#patience.call_ms, delays_ms: this.#patience.delays_ms };
      const activating = this.#activating ??= { done: this.#handshake(operation, limits), signal };
      try {
        await abortable(activating.done, signal);
      } catch (error) {
        // The next call tries again; so does this one when it was another's that was given up.
        if (this.#activating === activating) this.#activating = undefined;
        if (signal.aborted || !activating.signal.aborted) throw error;
      }
    }
  }

  async #handshake(operation: Operation, limits: CallLimits): Promise<void> {
    const { Implements } = await this.#post("Plugin.Activate", {}, operation, limits);
    if (!Array.isArray(Implements) || !Implements.includes("VolumeDriver")) {
      throw this.#error("UNAVAILABLE", "Plugin.Activate", `it is no volume driver (${shown(Implements)})`);
    }
    this.#active = true;
  }

  async #post(
    method: string,
    body: Readonly<Record<string, unknown>>,
    operation: Operation,
    { timeout_ms, delays_ms }: CallLimits,
  ): Promise<Readonly<Record<string, unknown>>> {
    const deadline = AbortSignal.timeout(timeout_ms);
    const signal = AbortSignal.any([operation.signal, deadline]);
    try {
      const response = await this.#reach(method, JSON.stringify(body), delays_ms, signal);
      const text = await boundedText(response);
      this.#silent = undefined;
      return this.#answer(method, response.status, text);
    } catch (error) {
      operation.signal.throwIfAborted();
      if (deadline.aborted) {
        throw this.#error("DEADLINE_EXCEEDED", method, `it did not answer within ${timeout_ms} ms`, error);
      }
      if (isLaminaError(error)) throw error;
      throw this.#error("UNAVAILABLE", method, `its answer broke off: ${messageOf(error)}`, error);
    }
  }

  /** Tries again for as long as nobody listens: a plugin may be starting. What was once sent is not sent again. */
  async #reach(
    method: string,
    body: string,
    delays_ms: readonly number[],
    signal: AbortSignal,
  ): Promise<Response> {
    for (let attempt = 0;; attempt++) {
      try {
        return await fetch(`${this.#address.url ?? "http://plugin"}/${method}`, {
          method: "POST",
          body,
          headers: { "content-type": MEDIA_TYPE, accept: MEDIA_TYPE },
          client: await this.#client(),
          signal,
          redirect: "error",
        });
      } catch (error) {
        signal.throwIfAborted();
        const delay_ms = delays_ms[attempt];
        if (delay_ms === undefined || !isUnreachable(error)) {
          const advice = isUnreachable(error) ? "nobody answers there. Is the plugin running?" : causeOf(error);
          throw this.#error("UNAVAILABLE", method, advice, error);
        }
        await pause(delay_ms, signal);
      }
    }
  }

  async #client(): Promise<Deno.HttpClient> {
    if (this.#http !== undefined) return this.#http;
    const { socketPath, tls } = this.#address;
    if (socketPath !== undefined) {
      return this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
    }
    if (tls === undefined) return this.#http = Deno.createHttpClient({});
    const { caFile, certFile, keyFile } = tls;
    const caCerts = caFile === undefined ? [] : [await Deno.readTextFile(caFile)];
    const own = certFile === undefined || keyFile === undefined
      ? {}
      : { cert: await Deno.readTextFile(certFile), key: await Deno.readTextFile(keyFile) };
    return this.#http = Deno.createHttpClient({ caCerts, ...own });
  }

  #answer(method: string, status: number, text: string): Readonly<Record<string, unknown>> {
    let value: unknown;
    try {
      value = JSON.parse(text === "" ? "{}" : text);
    } catch {
      const what = `it answered ${status} with ${shown(text)}, which is no JSON`;
      throw this.#error("UNAVAILABLE", method, what);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.#error("UNAVAILABLE", method, `it answered ${status} with ${shown(value)}, which is no JSON object`);
    }
    const answer = value as Record<string, unknown>;
    const refusal = answer.Err;
    if (status === 200 && (refusal === undefined || refusal === null || refusal === "")) return answer;
    const words = typeof refusal === "string" && refusal !== "" ? refusal : `status ${status}, ${shown(answer)}`;
    throw this.#error("UNAVAILABLE", method, words.slice(0, 1000), undefined, { plugin_error: words.slice(0, 1000) });
  }

  #error(
    code: "UNAVAILABLE" | "DEADLINE_EXCEEDED",
    method: string,
    why: string,
    cause?: unknown,
    details: Record<string, string> = {},
  ): LaminaError {
    const message = `Volume plugin "${this.name}" failed at ${method}: ${why}`;
    return new LaminaError(code, message, { cause, details: { plugin: this.name, ...details } });
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size_bytes = 0;
  for await (const chunk of response.body ?? []) {
    size_bytes += chunk.length;
    if (size_bytes > MAX_ANSWER_BYTES) throw new Error(`it is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
  return JSON.stringify(text.slice(0, 120));
}

/** The connection was never made, so nothing was asked yet. */
function isUnreachable(error: unknown): boolean {
  return /connect|No such file|os error 2\b|os error 111\b/i.test(causeOf(error));
}

function causeOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) parts.push(at.message);
  return parts.join(": ") || String(error);
}

function pause(delay_ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delay_ms);
  const onAbort = () => {
    clearTimeout(timer);
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
