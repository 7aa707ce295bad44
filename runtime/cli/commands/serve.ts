/** `lamina serve`: the daemon. */
import { errorChain } from "../../api/log.ts";
import type { Router } from "../../api/router.ts";
import type { FurtherSocket } from "../../api/server.ts";
import { keepAllocatorSmall } from "../../host/allocator.ts";
import { command } from "../command.ts";
import { UsageError } from "../parse.ts";
import type { ServeConfig } from "../serve_config.ts";
import { keyValues } from "../key_values.ts";
import { StopRequest } from "../stop_request.ts";

/** Milliseconds that running calls are given at a stop. */
const DEFAULT_STOP_TIMEOUT_MS = 10_000;

/** See the head of the file. */
export const serveCommand = command({
  words: ["serve"],
  summary: "Run the daemon on a root and a socket",
  description:
    "Logs to standard error: text on a terminal, JSON lines otherwise. Stops on SIGTERM or SIGINT: what runs is " +
    "finished, or rolled back after --stop-timeout; a second signal ends it at once, and the next start cleans up. " +
    "Volume plugins are found where Docker has them, or in the directories of LAMINA_VOLUME_PLUGINS (a colon between two).",
  flags: {
    "docker-socket": {
      kind: "text",
      value: "PATH",
      help: "Also speak the Docker Engine API there, for the docker command line",
      complete: "file",
    },
    "plugin-socket": {
      kind: "text",
      value: "PATH",
      help: "Also be a Docker volume plugin there, e.g. /run/docker/plugins/lamina.sock",
      complete: "file",
    },
    "storage-driver": { kind: "text", value: "NAME", help: "overlay, vfs, …; default: the best that this host can" },
    "storage-opt": { kind: "list", value: "K=V", help: "Option of the storage driver" },
    mounter: {
      kind: "text",
      value: "NAME",
      help: "command (mount(8), default) or libc (system calls)",
      choices: ["command", "libc"],
    },
    config: { kind: "text", value: "FILE", help: "JSON with root, socket, storage_driver, …", complete: "file" },
    "stop-timeout": {
      kind: "text",
      value: "SECONDS",
      help: `Patience at a stop (default ${DEFAULT_STOP_TIMEOUT_MS / 1000})`,
    },
  },
  examples: [
    ["serve", "the default root and socket, as root"],
    ["serve --root /srv/lamina --socket /run/lamina/lamina.sock", "places of your choice"],
    ["serve --docker-socket /run/lamina/docker.sock", "docker -H unix:///run/lamina/docker.sock volume ls"],
    ["serve --storage-driver vfs --log-level debug", "plain copies, and every request in the log"],
  ],
  async run({ flags, place, output, log, signal }) {
    const begun_ms = performance.now();
    keepAllocatorSmall();
    const config: ServeConfig = flags.config === undefined
      ? {}
      : await (await import("../serve_config.ts")).readServeConfig(flags.config);
    const root = place.rootGiven ? place.root : config.root ?? place.root;
    const socket = place.socketGiven ? place.socket : config.socket ?? place.socket;
    const grace_ms = stopTimeout(flags["stop-timeout"]) ?? config.stop_timeout_ms ?? DEFAULT_STOP_TIMEOUT_MS;
    const storageOptions = { ...config.storage_options, ...keyValues("--storage-opt", flags["storage-opt"]) };
    const dockerSocket = flags["docker-socket"] ?? config.docker_socket;
    const pluginSocket = flags["plugin-socket"] ?? config.plugin_socket;
    const sockets = [socket, dockerSocket, pluginSocket].filter((path) => path !== undefined);
    if (new Set(sockets).size < sockets.length) {
      throw new UsageError("--socket, --docker-socket and --plugin-socket need different paths");
    }
    const [{ createRuntime }, { serveUnix }, { prepareSocketPath }] = await Promise.all([
      import("../../runtime.ts"),
      import("../../api/server.ts"),
      import("../../api/socket_path.ts"),
    ]);
    // A socket that cannot be had is known before the root is opened and recovered.
    for (const path of sockets) await prepareSocketPath(path);
    using stop = new StopRequest(signal, log);
    await using runtime = await createRuntime({
      root,
      storageDriver: flags["storage-driver"] ?? config.storage_driver,
      storageOptions,
      mounter: (flags.mounter as "command" | "libc" | undefined) ?? config.mounter,
      volumePlugins: { ownSocket: pluginSocket, places: place.volumePlugins },
      // The server has waited already: what runs now was aborted and did not listen.
      shutdownGrace_ms: 0,
    });
    const further: FurtherSocket[] = [];
    if (dockerSocket !== undefined) {
      const { DockerRouter } = await import("../../api/docker/router.ts");
      const dialect = (router: Router) => new DockerRouter({ runtime, router, log }).fetch;
      further.push({ socketPath: dockerSocket, dialect });
    }
    if (pluginSocket !== undefined) {
      const { PluginRouter } = await import("../../api/plugin/plugin_router.ts");
      const dialect = (router: Router) => new PluginRouter({ runtime, router, log }).fetch;
      further.push({ socketPath: pluginSocket, dialect });
    }
    const server = await serveUnix({ socketPath: socket, further, runtime, log, grace_ms, signal: stop.signal });
    const info = runtime.system.info();
    log.info("ready", {
      socket,
      docker_socket: dockerSocket,
      plugin_socket: pluginSocket,
      root,
      pid: Deno.pid,
      version: info.version,
      storage_driver: info.storage_driver,
      took_ms: Math.round(performance.now() - begun_ms),
    });
    if (output.asJson) output.json(info);
    try {
      await server.finished;
    } catch (error) {
      log.error("the stop failed", { error: errorChain(error) });
      throw error;
    }
    log.info("stopped");
  },
});

function stopTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) {
    throw new UsageError(`--stop-timeout takes seconds; not ${JSON.stringify(text)}`);
  }
  return Number(text) * 1000;
}
