/** Containers as storage: create, list, inspect, changes, rename, remove, prune. */
import * as z from "zod";
import { isLaminaError, LaminaError } from "../../../core/errors.ts";
import type { ContainerChange } from "../../../core/model/container.ts";
import { ContainerBody } from "../container_body.ts";
import { laminaConfig, mergedConfig } from "../container_config.ts";
import { containerName, findContainer, imageOf, sizesOf, volumeFinder } from "../container_lookup.ts";
import { dockerContainer } from "../container_shape.ts";
import { dockerMessage } from "../errors.ts";
import { findDockerImage } from "../image_names.ts";
import { runtimeConfig, stringMap } from "../image_shape.ts";
import { requestedMounts } from "../mount_requests.ts";
import { flag, text } from "../query.ts";
import { type DockerRoute, dockerRoute, empty, json, tar } from "../route.ts";

const changeKinds: Readonly<Record<ContainerChange["kind"], number>> = { C: 0, A: 1, D: 2 };

/** See the head of the file. */
export const containerRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "POST",
    path: "/containers/create",
    query: z.object({ name: text, platform: text }),
    body: ContainerBody,
    deadline_ms: 600_000,
    async handler({ runtime, query, body, operation }) {
      const { HostConfig: host, NetworkingConfig: _network, ...own } = body;
      if (!body.Image) throw new LaminaError("INVALID_ARGUMENT", "Invalid request: body.Image: is missing");
      const { image, name } = findDockerImage(runtime, body.Image);
      refuseOtherPlatform(image.platform, query.platform, body.Image);
      const config = mergedConfig(own, runtimeConfig(image));
      const { mounts, volumes } = requestedMounts(body);
      const container = await nothingElseIsMissing(runtime.containers.create({
        image: name,
        ...(query.name === undefined ? {} : { name: containerName(query.name) }),
        mounts,
        volumes,
        volumes_from: host?.VolumesFrom ?? [],
        read_only: host?.ReadonlyRootfs ?? false,
        auto_remove: host?.AutoRemove ?? false,
        labels: stringMap(config.Labels),
        storage_options: host?.StorageOpt ?? {},
        config: laminaConfig(body),
        engine: { config, host_config: host ?? {} },
      }, operation));
      return json({ Id: container.id, Warnings: [] }, 201);
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/containers/{id}/json",
    query: z.object({ size: flag }),
    deadline_ms: 600_000,
    async handler({ runtime, params, query, operation }) {
      const container = await findContainer(runtime, params.id!, operation, query);
      const image = imageOf(runtime, container);
      const sizes = sizesOf(container, image.size_bytes);
      return json(dockerContainer(container, image.config, volumeFinder(runtime), sizes));
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/containers/{id}/changes",
    lane: "long",
    async handler({ runtime, params, operation }) {
      const changes = await runtime.containers.diff(containerName(params.id!), operation);
      return json(changes.map(({ kind, path }) => ({ Path: path, Kind: changeKinds[kind] })));
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/containers/{id}/export",
    lane: "long",
    handler: async ({ runtime, params, operation }) =>
      tar(await runtime.containers.export(containerName(params.id!), operation)),
  }),
  dockerRoute({
    methods: "POST",
    path: "/containers/{id}/rename",
    query: z.object({ name: text }),
    async handler({ runtime, params, query, operation }) {
      if (query.name === undefined) throw new LaminaError("INVALID_ARGUMENT", "Neither old nor new names may be empty");
      await runtime.containers.rename(containerName(params.id!), containerName(query.name), operation);
      return empty();
    },
  }),
  dockerRoute({
    methods: "DELETE",
    path: "/containers/{id}",
    query: z.object({ v: flag, force: flag, link: flag }),
    deadline_ms: 600_000,
    async handler({ runtime, params, query, operation }) {
      if (query.link) throw new LaminaError("INVALID_ARGUMENT", "Cannot remove a link: Lamina has no container links");
      const options = { force: query.force, volumes: query.v };
      await runtime.containers.remove(containerName(params.id!), options, operation);
      return empty();
    },
  }),
];

/**
 * A client takes 404 for the image of the container, and tries to get that: what else is missing, the image of a mount
 * included, is a wrong request.
 */
async function nothingElseIsMissing<T>(creating: Promise<T>): Promise<T> {
  try {
    return await creating;
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    throw new LaminaError("INVALID_ARGUMENT", dockerMessage(error), { cause: error, details: error.details });
  }
}

function refuseOtherPlatform(found: string, wanted: string | undefined, name: string): void {
  if (wanted === undefined || wanted === found || found.startsWith(`${wanted}/`)) return;
  throw new LaminaError(
    "NOT_FOUND",
    `image with reference ${name} was found but its platform (${found}) does not match the specified platform (${wanted})`,
  );
}
