/** `docker cp`: what a path of a container is, and tars out of it and into it. */
import * as z from "zod";
import { isLaminaError, LaminaError } from "../../../core/errors.ts";
import type { PathStat } from "../../../core/model/container.ts";
import type { Operation } from "../../../core/operation.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { containerName } from "../container_lookup.ts";
import { baseOf, pathStatHeader } from "../path_stat.ts";
import { flag } from "../query.ts";
import { type DockerRoute, dockerRoute, empty, tar } from "../route.ts";
import { uncompressed } from "../uncompressed.ts";

/** Links in a row, as the kernel counts them. */
const MAX_LINKS = 40;

const archiveQuery = z.object({
  path: z.string({ error: "is missing" }).min(1, "must not be empty").max(4096).transform((path) =>
    path.startsWith("/") ? path : `/${path}`
  ),
});

/** See the head of the file. */
export const containerFileRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "HEAD",
    path: "/containers/{id}/archive",
    query: archiveQuery,
    handler: async ({ runtime, params, query, operation }) =>
      empty(200, await statHeader(runtime, containerName(params.id!), query.path, operation)),
  }),
  dockerRoute({
    methods: "GET",
    path: "/containers/{id}/archive",
    query: archiveQuery,
    lane: "long",
    async handler({ runtime, params, query: { path }, operation }) {
      const container = containerName(params.id!);
      const header = await statHeader(runtime, container, path, operation);
      // Named as the client wrote it, because it looks for that name in the archive: "/", "./" or a plain one.
      const base = baseOf(path);
      const as = base === "." ? "./" : base;
      return tar(await runtime.containers.copyOut(container, path, operation, { as }), header);
    },
  }),
  dockerRoute({
    methods: "PUT",
    path: "/containers/{id}/archive",
    query: archiveQuery.extend({ noOverwriteDirNonDir: flag, copyUIDGID: flag }),
    takesInput: true,
    lane: "long",
    async handler({ runtime, params, query, input, operation }) {
      const container = containerName(params.id!);
      await inDocker(container, query.path, async () => {
        // Owners are those of the archive, whether the client asks for them or not: as Docker does.
        const options = { keep_kinds: query.noOverwriteDirNonDir };
        await runtime.containers.copyIn(container, query.path, await uncompressed(input), operation, options);
      });
      return empty(200);
    },
  }),
];

async function statHeader(
  runtime: LaminaRuntime,
  container: string,
  path: string,
  operation: Operation,
): Promise<Record<string, string>> {
  return await inDocker(container, path, async () => {
    const stat = await runtime.containers.statPath(container, path, operation);
    const target = stat.kind === "symlink" ? await finalTarget(runtime, container, path, stat, operation) : "";
    return pathStatHeader(stat, baseOf(path), target);
  });
}

/** Where a link leads in the end; where it leads nowhere, the place at which something is missing. */
async function finalTarget(
  runtime: LaminaRuntime,
  container: string,
  path: string,
  link: PathStat,
  operation: Operation,
): Promise<string> {
  let at = path;
  let stat = link;
  for (let i = 0; i < MAX_LINKS && stat.kind === "symlink"; i++) {
    const target = stat.link_target ?? "";
    // Not shortened as text: ".." after a link is the kernel's to resolve.
    at = target.startsWith("/") ? target : `${at.slice(0, at.lastIndexOf("/"))}/${target}`;
    try {
      stat = await runtime.containers.statPath(container, at, operation);
    } catch (error) {
      if (isLaminaError(error, "NOT_FOUND", "CONFLICT")) return at;
      throw error;
    }
  }
  return at;
}

/** Errors about paths in Docker's words and with its codes. */
async function inDocker<T>(container: string, path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND") && error.details.container === undefined) {
      throw new LaminaError("NOT_FOUND", `Could not find the file ${path} in container ${container}`, { cause: error });
    }
    if (isLaminaError(error, "CONFLICT") && /no directory/.test(error.message)) {
      throw new LaminaError("INVALID_ARGUMENT", error.message, { cause: error });
    }
    throw error;
  }
}
