/** What runs processes, builds, or belongs to a cluster: not here, and the answer says what to do instead. */
import { HttpError } from "../../errors.ts";
import { findContainer } from "../container_lookup.ts";
import { StorageOnly } from "../errors.ts";
import { type DockerMethod, type DockerRoute, dockerRoute, json } from "../route.ts";

const noProcesses =
  "it does not run processes. Mount the container's root with `lamina container mount`, and run it with crun or your engine";
const noBuild = "it does not build. Build elsewhere, then bring the image with docker load";

const processCalls: readonly (readonly [DockerMethod, string])[] = [
  ["POST", "start"],
  ["POST", "stop"],
  ["POST", "restart"],
  ["POST", "kill"],
  ["POST", "pause"],
  ["POST", "unpause"],
  ["POST", "wait"],
  ["POST", "update"],
  ["POST", "resize"],
  ["POST", "exec"],
  ["POST", "attach"],
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

function refused(methods: DockerMethod, path: string, advice: string): DockerRoute {
  return dockerRoute({
    methods,
    path,
    handler() {
      throw new StorageOnly(advice);
    },
  });
}
