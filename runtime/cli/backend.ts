/** Chooses who answers: the daemon, or a runtime in this process. */
import type { Logger } from "../api/log.ts";
import { probeSocket } from "../api/socket_path.ts";
import { LaminaError } from "../core/errors.ts";
import { isThere } from "../host/is_there.ts";
import type { Backend } from "./client.ts";

/** Where to look. */
export interface BackendOptions {
  readonly socket: string;
  readonly root: string;
  /** Somebody named the socket, and no root: then only that daemon will do. */
  readonly daemonOnly: boolean;
  /** Somebody said so. */
  readonly embedded: boolean;
  /** Whether flag or environment name the socket, and the root. */
  readonly socketGiven: boolean;
  readonly rootGiven: boolean;
  /** Where a runtime in this process looks for volume plugins; absent: where Docker has them. */
  readonly volumePlugins?: { readonly sockets: readonly string[]; readonly files: readonly string[] };
  readonly log: Logger;
}

/**
 * The daemon where one listens; otherwise, or when asked for, a runtime in this process under the root's lock.
 *
 * @throws `UNAVAILABLE` when only a daemon will do and none runs, or when another process has the root.
 */
export async function openBackend(options: BackendOptions): Promise<Backend> {
  const { socket, root, log } = options;
  if (!options.embedded) {
    const found = await probeSocket(socket);
    if (found === "live") return daemonBackend(socket);
    if (options.daemonOnly) {
      const what = { absent: "there is no socket", stale: "nobody listens there", other: "that is no socket" }[found];
      throw new LaminaError("UNAVAILABLE", `No daemon at ${socket}: ${what}. Start one with lamina serve`, {
        details: { socket },
      });
    }
    log.debug("no daemon: opening the root in this process", { socket, found, root });
  }
  return await embeddedBackend(options);
}

function daemonBackend(socket: string): Backend {
  // A connection of its own for each call: a kept one that the daemon has just closed would make the client send a
  // request twice.
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket }, poolMaxIdlePerHost: 0 });
  return {
    kind: "daemon",
    place: socket,
    fetch: (request) => fetch(request, { client } as RequestInit),
    [Symbol.asyncDispose]: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

/**
 * Loaded only here: a call to the daemon does not pay for the engine. A root that is not there is made by the first
 * call that changes something, and by the doctor, who tries out what works there.
 */
async function embeddedBackend(options: BackendOptions): Promise<Backend> {
  if (await isThere(options.root)) return await openRoot(options);
  let opened: Promise<Backend> | undefined;
  return {
    kind: "embedded",
    place: options.root,
    async fetch(request) {
      if (opened === undefined && request.method === "GET" && new URL(request.url).pathname !== "/v1/doctor") {
        throw new LaminaError(
          "UNAVAILABLE",
          `${options.embedded ? "There" : `No daemon listens at ${options.socket}, and there`} is no root at ` +
            `${options.root}. Start a daemon with lamina serve, or name what there is with --socket or --root`,
          { details: { socket: options.socket, root: options.root } },
        );
      }
      return await (await (opened ??= openRoot(options))).fetch(request);
    },
    [Symbol.asyncDispose]: async () => await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose](),
  };
}

async function openRoot({ root, log, volumePlugins }: BackendOptions): Promise<Backend> {
  const [{ createRuntime }, { Router }] = await Promise.all([import("../runtime.ts"), import("../api/router.ts")]);
  const runtime = await createRuntime({ root, volumePlugins: { places: volumePlugins } });
  const router = new Router({ runtime, log });
  return {
    kind: "embedded",
    place: root,
    fetch: router.fetch,
    async [Symbol.asyncDispose]() {
      router.stopWatchers();
      router.abortAll();
      await router.idle();
      await runtime[Symbol.asyncDispose]();
    },
  };
}
