/**
 * Lamina as a Docker volume plugin: a dockerd, or whoever speaks its plugin protocol, uses Lamina's volumes. Limits,
 * deadlines and the stop are those of the native API.
 */
import * as z from "zod";
import { LaminaError, messageOf } from "../../core/errors.ts";
import type { Volume } from "../../core/model/volume.ts";
import type { Operation } from "../../core/operation.ts";
import { parseSpec } from "../../core/specs/parse_spec.ts";
import type { LaminaRuntime } from "../../services.ts";
import { errorChain, type Logger, silentLogger } from "../log.ts";
import { readText } from "../request.ts";
import type { Router } from "../router.ts";

/** What the protocol needs. */
export interface PluginRouterOptions {
  readonly runtime: LaminaRuntime;
  /** Of the native API. */
  readonly router: Router;
  readonly log?: Logger;
}

const MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json";
/** The client gives up a little later. */
const DEADLINE_MS = 110_000;
const MAX_BODY_BYTES = 1 << 20;

const Name = z.object({ Name: z.string().min(1).max(255) });
const Create = Name.extend({ Opts: z.record(z.string(), z.string()).nullish() });
const Use = Name.extend({ ID: z.string().min(1).max(256) });
const Nothing = z.object({});

type Answer = Readonly<Record<string, unknown>>;
type Method = (runtime: LaminaRuntime, body: unknown, operation: Operation) => Answer | Promise<Answer>;

const METHODS: Readonly<Record<string, Method>> = {
  "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
  "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "local" } }),
  "VolumeDriver.Create": method(Create, async (runtime, { Name: name, Opts }, operation) => {
    await runtime.volumes.create({ name, options: Opts ?? {} }, operation);
    return {};
  }),
  "VolumeDriver.Remove": method(Name, async (runtime, { Name: name }, operation) => {
    await runtime.volumes.remove(name, operation);
    return {};
  }),
  "VolumeDriver.Mount": method(Use, async (runtime, { Name: name, ID }, operation) => ({
    Mountpoint: await runtime.volumes.mount(name, ID, operation),
  })),
  "VolumeDriver.Unmount": method(Use, async (runtime, { Name: name, ID }, operation) => {
    await runtime.volumes.unmount(name, ID, operation);
    return {};
  }),
  "VolumeDriver.Path": method(
    Name,
    (runtime, { Name: name }) => ({ Mountpoint: shape(runtime.volumes.inspect(name)).Mountpoint }),
  ),
  "VolumeDriver.Get": method(Name, (runtime, { Name: name }) => ({ Volume: shape(runtime.volumes.inspect(name)) })),
  "VolumeDriver.List": method(Nothing, (runtime) => ({ Volumes: runtime.volumes.list().filter(isOurs).map(shape) })),
};

/** Answers one request. Never throws: whatever goes wrong is an answer. */
export class PluginRouter {
  readonly #runtime: LaminaRuntime;
  readonly #router: Router;
  readonly #log: Logger;

  constructor({ runtime, router, log }: PluginRouterOptions) {
    this.#runtime = runtime;
    this.#router = router;
    this.#log = log ?? silentLogger();
  }

  /** See the head of the class. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const name = new URL(request.url).pathname.slice(1);
    try {
      const run = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
      if (run === undefined || request.method !== "POST") {
        await request.body?.cancel();
        return reply(404, { Err: `Lamina's volume plugin has no ${request.method} /${name.slice(0, 80)}` });
      }
      return await this.#router.run(request, { lane: "quick", deadline_ms: DEADLINE_MS }, async ({ signal }) => {
        const body = parseBody(await readText(request, MAX_BODY_BYTES, signal));
        return { response: reply(200, await run(this.#runtime, body, { signal, progress: () => {} })), over: true };
      });
    } catch (error) {
      if (!(error instanceof LaminaError)) {
        this.#log.error("unexpected failure", { method: name.slice(0, 80), error: errorChain(error) });
      }
      return reply(500, { Err: messageOf(error) });
    }
  };
}

function method<S extends z.ZodType>(
  schema: S,
  run: (runtime: LaminaRuntime, body: z.output<S>, operation: Operation) => Answer | Promise<Answer>,
): Method {
  return (runtime, body, operation) => run(runtime, parseSpec(schema, body ?? {}, "request"), operation);
}

/** Whatever type the client says it is: some say none. */
function parseBody(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid request: the body is not JSON (${messageOf(error)})`);
  }
}

/** Volumes of other plugins are theirs to show. */
function isOurs(volume: Volume): boolean {
  return volume.driver === "local";
}

function shape(volume: Volume): Answer {
  return {
    Name: volume.name,
    Mountpoint: volume.usable ? volume.mountpoint : "",
    CreatedAt: volume.created_at,
    Status: {},
  };
}

function reply(status: number, body: Answer): Response {
  return Response.json(body, { status, headers: { "content-type": MEDIA_TYPE } });
}
