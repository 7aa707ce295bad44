/** Routes of volumes. */
import { z } from "zod";
import { RemovalResult } from "../../core/specs/image.ts";
import { Volume, VolumeCreate } from "../../core/specs/volume.ts";
import { type Route, route } from "../route.ts";
import { PruneRequest, volumeParams } from "./schemas.ts";

/** See the head of the file. */
export const volumeRoutes: readonly Route[] = [
  route({
    id: "volumes.create",
    method: "POST",
    path: "/v1/volumes",
    summary: "Create a volume; the same again is success",
    body: VolumeCreate,
    response: { kind: "json", schema: Volume, status: 201 },
    handler: ({ runtime, body, operation }) => runtime.volumes.create(body, operation),
  }),
  route({
    id: "volumes.list",
    method: "GET",
    path: "/v1/volumes",
    summary: "List volumes",
    response: { kind: "json", schema: z.array(Volume) },
    handler: ({ runtime }) => runtime.volumes.list(),
  }),
  route({
    id: "volumes.prune",
    method: "POST",
    path: "/v1/volumes/prune",
    summary: "Remove volumes that no container uses",
    description: "Anonymous ones; with `all` every unused one.",
    body: PruneRequest,
    response: { kind: "json", schema: RemovalResult },
    lane: "long",
    handler: ({ runtime, body, operation }) => runtime.volumes.prune(body, operation),
  }),
  route({
    id: "volumes.inspect",
    method: "GET",
    path: "/v1/volumes/{volume}",
    summary: "Show a volume",
    params: volumeParams,
    response: { kind: "json", schema: Volume },
    handler: ({ runtime, params }) => runtime.volumes.inspect(params.volume),
  }),
  route({
    id: "volumes.remove",
    method: "DELETE",
    path: "/v1/volumes/{volume}",
    summary: "Remove a volume and its data; refused while a container uses it",
    params: volumeParams,
    response: { kind: "json", schema: RemovalResult },
    deadline_ms: 600_000,
    handler: ({ runtime, params, operation }) => runtime.volumes.remove(params.volume, operation),
  }),
];
