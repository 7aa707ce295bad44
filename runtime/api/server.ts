/** Listens on unix sockets and stops in an orderly way. */
import { messageOf } from "../core/errors.ts";
import type { LaminaRuntime } from "../services.ts";
import { errorResponse } from "./errors.ts";
import { type Logger, silentLogger } from "./log.ts";
import { Router } from "./router.ts";
import { fileError } from "./file_error.ts";
import { prepareSocketPath } from "./socket_path.ts";

/** A socket that is listened on. */
export interface UnixListener {
  readonly socketPath: string;
  /** Stops accepting, waits until every connection has ended, removes the socket. */
  shutdown(): Promise<void>;
}

/**
 * Listens on a unix socket of mode 0600. One process may listen on several, each with its own dialect.
 *
 * @param fetch Answers a request; what it throws becomes an error of the native shape.
 * @throws as {@linkcode prepareSocketPath}.
 */
export async function listenUnix(
  socketPath: string,
  fetch: Fetch,
  log: Logger = silentLogger(),
): Promise<UnixListener> {
  for (const warning of await prepareSocketPath(socketPath)) log.warn(warning);
  // The socket gets its mode from the umask at the bind, which happens before `serve` returns: there is no moment at
  // which others could connect.
  const umask = Deno.umask(0o177);
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({
      path: socketPath,
      automaticCompression: false,
      onListen: () => {},
      onError: (error) => {
        log.error("connection failed", { error: messageOf(error) });
        return errorResponse(error, "the request");
      },
    } as Deno.ServeUnixOptions, fetch);
  } catch (error) {
    throw fileError(error, `Cannot listen on ${socketPath}`);
  } finally {
    Deno.umask(umask);
  }
  return { socketPath, shutdown: () => server.shutdown() };
}

/** Answers requests. */
export type Fetch = (request: Request) => Promise<Response> | Response;

/** A further socket with a dialect of its own; limits and stop are those of the native API. */
export interface FurtherSocket {
  readonly socketPath: string;
  /** What answers there. */
  readonly dialect: (router: Router) => Fetch;
}

/** How the native API is served. */
export interface ServeOptions {
  readonly socketPath: string;
  readonly further?: readonly FurtherSocket[];
  readonly runtime: LaminaRuntime;
  readonly log?: Logger;
  /** Milliseconds that running calls are given at a stop before they are aborted and roll back. Default 10,000. */
  readonly grace_ms?: number;
  /** Asks for the stop. */
  readonly signal?: AbortSignal;
}

/** The native API on its socket. */
export interface ApiServer {
  readonly socketPath: string;
  /** For further sockets that share limits and stop with this one. */
  readonly router: Router;
  /** See {@linkcode ServeOptions.grace_ms}. Resolves when nothing runs any more; asking twice waits for the same end. */
  stop(): Promise<void>;
  /** Resolves at the end of the stop. */
  readonly finished: Promise<void>;
}

/** Milliseconds that aborted calls are given to roll back before the stop goes on without them. */
const ROLLBACK_MS = 30_000;

/** Serves the native API. The caller keeps the runtime and disposes it after the stop. */
export async function serveUnix(options: ServeOptions): Promise<ApiServer> {
  const log = options.log ?? silentLogger();
  const router = new Router({ runtime: options.runtime, log });
  const listeners = await listenAll(options, router, log);
  const finished = Promise.withResolvers<void>();
  let stopping = false;
  const stop = (): Promise<void> => {
    if (!stopping) {
      stopping = true;
      drain(router, listeners, options.grace_ms ?? 10_000, log).then(finished.resolve, finished.reject);
    }
    return finished.promise;
  };
  const onAbort = () => void stop();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted) onAbort();
  return { socketPath: options.socketPath, router, stop, finished: finished.promise };
}

/** All sockets or none; the native one last: who sees it answer finds the others there too. */
async function listenAll(options: ServeOptions, router: Router, log: Logger): Promise<UnixListener[]> {
  const listeners: UnixListener[] = [];
  try {
    for (const { socketPath, dialect } of options.further ?? []) {
      listeners.push(await listenUnix(socketPath, dialect(router), log));
    }
    listeners.push(await listenUnix(options.socketPath, router.fetch, log));
    return listeners;
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.shutdown()));
    throw error;
  }
}

async function drain(router: Router, listeners: readonly UnixListener[], grace_ms: number, log: Logger): Promise<void> {
  log.info("stopping", { running: router.active });
  router.stopWatchers();
  const quiet = Promise.all([...listeners.map((listener) => listener.shutdown()), router.idle()]);
  if (await within(quiet, grace_ms)) return;
  log.warn("stopping: aborting what still runs", { running: router.active, grace_ms });
  router.abortAll();
  if (await within(quiet, ROLLBACK_MS)) return;
  log.error("stopping without waiting any longer: the next start rolls back the rest", { running: router.active });
}

/** Whether `promise` resolved in time. */
async function within(promise: Promise<unknown>, timeout_ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), timeout_ms);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
