/** What runs processes, builds, or belongs to a cluster: not here, and the answer says what to do instead. */
import * as z from "zod";
import { HttpError } from "../../errors.ts";
import type { Operation } from "../../../core/operation.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { findContainer } from "../container_lookup.ts";
import { StorageOnly } from "../errors.ts";
import { text } from "../query.ts";
import { type DockerMethod, type DockerRoute, dockerRoute, json } from "../route.ts";
import { endOfWait, tellStartRefused } from "../start_waiters.ts";

const noProcesses =
  "it does not run processes. Mount the container's root with `lamina container mount`, and run it with crun or your engine";
const noBuild = "it does not build. Build elsewhere, then bring the image with docker load";

const processCalls: readonly (readonly [DockerMethod, string])[] = [
  ["POST", "stop"],
  ["POST", "restart"],
  ["POST", "kill"],
  ["POST", "pause"],
  ["POST", "unpause"],
  ["POST", "update"],
  ["POST", "resize"],
  ["POST", "exec"],
  ["GET", "attach/ws"],
  ["GET", "logs"],
  ["GET", "top"],
  ["GET", "stats"],
];

/** See the head of the file. */
export const processRoutes: readonly DockerRoute[] = [
  ...processCalls.map(([methods, verb]) =>
    dockerRoute({
      methods,
      path: `/containers/{id}/${verb}`,
      async handler({ runtime, params, operation }) {
        // Whoever mistyped a name learns that first.
        await findContainer(runtime, params.id!, operation);
        throw new StorageOnly(noProcesses);
      },
    })
  ),
  // "docker run" in the foreground attaches, waits for the end, and only then starts: a refusal of the first two would
  // be told in the client's words, that of the start is told in ours.
  dockerRoute({
    methods: "POST",
    path: "/containers/{id}/attach",
    async handler({ runtime, params, operation, upgrades }) {
      await findContainer(runtime, params.id!, operation);
      if (!upgrades) throw new StorageOnly(noProcesses);
      return { kind: "upgrade" };
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/containers/{id}/wait",
    query: z.object({ condition: text }),
    lane: "watch",
    async handler({ runtime, params, query, operation }) {
      const { id } = await findContainer(runtime, params.id!, operation);
      if (query.condition !== "next-exit" && query.condition !== "removed") throw new StorageOnly(noProcesses);
      return { kind: "lines", items: exitOf(runtime, id, operation) };
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/containers/{id}/start",
    async handler({ runtime, params, operation }) {
      const { id } = await findContainer(runtime, params.id!, operation);
      tellStartRefused(id);
      throw new StorageOnly(noProcesses);
    },
  }),
  ...["/exec/{id}/start", "/exec/{id}/resize", "/session", "/grpc"].map((path) => refused("POST", path, noProcesses)),
  refused("GET", "/exec/{id}/json", noProcesses),
  refused("POST", "/build", noBuild),
  // `docker system prune` asks for these as well: there is nothing to prune.
  dockerRoute({
    methods: "POST",
    path: "/build/prune",
    handler: () => json({ CachesDeleted: null, SpaceReclaimed: 0 }),
  }),
  dockerRoute({ methods: "GET", path: "/networks", handler: () => json([]) }),
  dockerRoute({ methods: "POST", path: "/networks/prune", handler: () => json({ NetworksDeleted: null }) }),
  refused("POST", "/networks/create", "it has no networks. Give the container one with your engine"),
  // "docker inspect NAME" asks for each kind of thing in turn, and goes on after "not found".
  ...([
    ["/networks/{name}", "network {} not found"],
    ["/plugins/{name...}/json", 'plugin "{}" not found'],
  ] as const).map(([path, message]) =>
    dockerRoute({
      methods: "GET DELETE",
      path,
      handler({ params }) {
        throw new HttpError(404, "NOT_FOUND", message.replace("{}", () => params.name!.slice(0, 200)));
      },
    })
  ),
  dockerRoute({ methods: "GET", path: "/plugins", handler: () => json([]) }),
  ...["swarm", "nodes", "services", "tasks", "secrets", "configs"].flatMap((kind) =>
    [`/${kind}`, `/${kind}/{rest...}`].map((path) =>
      dockerRoute({
        methods: "GET POST DELETE",
        path,
        handler() {
          throw new HttpError(
            503,
            "UNAVAILABLE",
            "This node is not a swarm manager: Lamina is the storage of one host",
          );
        },
      })
    )
  ),
];

/** The exit code is the one that "docker run" has for what could not be started. */
async function* exitOf(runtime: LaminaRuntime, id: string, { signal }: Operation): AsyncGenerator<unknown> {
  const end = await endOfWait(runtime, id, signal);
  yield { StatusCode: end === "refused" ? 125 : 0 };
}

function refused(methods: DockerMethod, path: string, advice: string): DockerRoute {
  return dockerRoute({
    methods,
    path,
    handler() {
      throw new StorageOnly(advice);
    },
  });
}
