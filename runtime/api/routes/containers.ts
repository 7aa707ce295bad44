/** Routes of containers. */
import * as z from "zod";
import {
  Container,
  ContainerChange,
  ContainerCommit,
  ContainerCreate,
  ContainerPrune,
  ContainerRename,
  ContainerSummary,
  ContainerUpdate,
  PathStat,
} from "../../core/specs/container.ts";
import { Image, RemovalResult } from "../../core/specs/image.ts";
import { type Route, route } from "../route.ts";
import { containerParams, containerPath, queryFlag } from "./schemas.ts";

/** Body of an unmount. */
export const UnmountRequest = z.strictObject({
  lazy: z.boolean().default(false).describe("Detach now, finish when the last user leaves"),
}).meta({ id: "UnmountRequest" });

/** See the head of the file. */
export const containerRoutes: readonly Route[] = [
  route({
    id: "containers.create",
    method: "POST",
    path: "/v1/containers",
    summary: "Create a container: an RW layer on an image, and its volumes",
    query: z.strictObject({ mount: queryFlag("Mount its root, too: faster than a call for each") }),
    body: ContainerCreate,
    response: { kind: "json", schema: Container, status: 201 },
    handler: ({ runtime, query, body, operation }) => runtime.containers.create(body, operation, query),
  }),
  route({
    id: "containers.list",
    method: "GET",
    path: "/v1/containers",
    summary: "List containers",
    response: { kind: "json", schema: z.array(ContainerSummary) },
    handler: ({ runtime }) => runtime.containers.list(),
  }),
  route({
    id: "containers.inspect",
    method: "GET",
    path: "/v1/containers/{container}",
    summary: "Show a container, with the OCI runtime-spec parts of its image and volumes",
    params: containerParams,
    query: z.strictObject({ size: queryFlag("Also measure the RW layer") }),
    response: { kind: "json", schema: Container },
    handler: ({ runtime, params, query, operation }) => runtime.containers.inspect(params.container, query, operation),
  }),
  route({
    id: "containers.update",
    method: "POST",
    path: "/v1/containers/{container}/update",
    summary: "Change how much the RW layer may take",
    params: containerParams,
    body: ContainerUpdate,
    response: { kind: "json", schema: Container },
    handler: ({ runtime, params, body, operation }) => runtime.containers.update(params.container, body, operation),
  }),
  route({
    id: "containers.remove",
    method: "DELETE",
    path: "/v1/containers/{container}",
    summary: "Remove a container and its RW layer",
    params: containerParams,
    query: z.strictObject({
      force: queryFlag("Unmount it first"),
      volumes: queryFlag("Remove its anonymous volumes too"),
    }),
    response: { kind: "json", schema: RemovalResult },
    deadline_ms: 600_000,
    handler: ({ runtime, params, query, operation }) => runtime.containers.remove(params.container, query, operation),
  }),
  route({
    id: "containers.mount",
    method: "POST",
    path: "/v1/containers/{container}/mount",
    summary: "Assemble the rootfs; mounted already is success",
    params: containerParams,
    response: { kind: "json", schema: Container },
    handler: ({ runtime, params, operation }) => runtime.containers.mount(params.container, operation),
  }),
  route({
    id: "containers.unmount",
    method: "POST",
    path: "/v1/containers/{container}/unmount",
    summary: "Take the rootfs apart; not mounted is success",
    params: containerParams,
    body: UnmountRequest,
    response: { kind: "empty" },
    handler: ({ runtime, params, body, operation }) => runtime.containers.unmount(params.container, body, operation),
  }),
  route({
    id: "containers.rename",
    method: "POST",
    path: "/v1/containers/{container}/rename",
    summary: "Give a container another name, mounted or not",
    params: containerParams,
    body: ContainerRename,
    response: { kind: "json", schema: Container },
    handler: ({ runtime, params, body, operation }) =>
      runtime.containers.rename(params.container, body.name, operation),
  }),
  route({
    id: "containers.prune",
    method: "POST",
    path: "/v1/containers/prune",
    summary: "Remove containers that are not mounted",
    body: ContainerPrune,
    response: { kind: "json", schema: RemovalResult },
    deadline_ms: 600_000,
    handler: ({ runtime, body, operation }) => runtime.containers.prune(body, operation),
  }),
  route({
    id: "containers.diff",
    method: "GET",
    path: "/v1/containers/{container}/diff",
    summary: "What changed against the image",
    params: containerParams,
    response: { kind: "json", schema: z.array(ContainerChange) },
    lane: "long",
    handler: ({ runtime, params, operation }) => runtime.containers.diff(params.container, operation),
  }),
  route({
    id: "containers.commit",
    method: "POST",
    path: "/v1/containers/{container}/commit",
    summary: "Make an image of a container",
    params: containerParams,
    body: ContainerCommit,
    response: { kind: "json", schema: Image, status: 201 },
    progress: true,
    lane: "long",
    handler: ({ runtime, params, body, operation }) => runtime.containers.commit(params.container, body, operation),
  }),
  route({
    id: "containers.export",
    method: "GET",
    path: "/v1/containers/{container}/export",
    summary: "The rootfs without its volumes, as a tar",
    params: containerParams,
    response: { kind: "tar", describe: "The rootfs" },
    lane: "long",
    handler: ({ runtime, params, operation }) => runtime.containers.export(params.container, operation),
  }),
  route({
    id: "containers.stat",
    method: "GET",
    path: "/v1/containers/{container}/stat",
    summary: "What a path of the rootfs is",
    params: containerParams,
    query: z.strictObject({ path: containerPath }),
    response: { kind: "json", schema: PathStat },
    handler: ({ runtime, params, query, operation }) =>
      runtime.containers.statPath(params.container, query.path, operation),
  }),
  route({
    id: "containers.copy_out",
    method: "GET",
    path: "/v1/containers/{container}/archive",
    summary: "A file or directory of the rootfs as a tar",
    params: containerParams,
    query: z.strictObject({
      path: containerPath,
      as: z.string().min(1).max(255).regex(/^[^/\0]+$/, "must be one name").refine(
        (n) => n !== "..",
        'must not be ".."',
      )
        .optional().describe('Name of the top entry; "." makes the entries relative to the path'),
    }),
    response: { kind: "tar", describe: "The path and what is below it" },
    lane: "long",
    handler: ({ runtime, params, query: { path, as }, operation }) =>
      runtime.containers.copyOut(params.container, path, operation, { as }),
  }),
  route({
    id: "containers.copy_in",
    method: "PUT",
    path: "/v1/containers/{container}/archive",
    summary: "Unpack a tar below a directory of the rootfs",
    params: containerParams,
    query: z.strictObject({ path: containerPath.describe("An existing directory, resolved inside the root") }),
    archive: "required",
    response: { kind: "empty" },
    lane: "long",
    handler: ({ runtime, params, query, archive, operation }) =>
      runtime.containers.copyIn(params.container, query.path, archive!, operation),
  }),
];
