/** Volumes. */
import * as z from "zod";
import type { VolumeFilters } from "../../../core/model/volume.ts";
import { type Filters, parseFilters, switchOf } from "../filters.ts";
import { flag, text } from "../query.ts";
import { type DockerRoute, dockerRoute, empty, json } from "../route.ts";
import { dockerVolume } from "../volume_shape.ts";

/** From this version on, prune takes anonymous volumes only unless it is told `all`. */
const PRUNES_ANONYMOUS_FROM = 42;

const VolumeCreateBody = z.object({
  Name: z.string().max(10_000).nullish(),
  Driver: z.string().max(255).nullish(),
  DriverOpts: z.record(z.string(), z.string()).nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
});

/** See the head of the file. */
export const volumeRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "GET",
    path: "/volumes",
    query: z.object({ filters: text }),
    async handler({ runtime, query, operation }) {
      const filters = parseFilters(query.filters, ["dangling", "driver", "label", "label!", "name"]);
      const { volumes, warnings } = await runtime.volumes.listWithPlugins(volumeFilters(filters), operation);
      return json({ Volumes: volumes.map((volume) => dockerVolume(volume)), Warnings: warnings });
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/volumes/create",
    body: VolumeCreateBody,
    async handler({ runtime, body, operation }) {
      const volume = await runtime.volumes.create({
        ...(body.Name ? { name: body.Name } : {}),
        ...(body.Driver ? { driver: body.Driver } : {}),
        options: body.DriverOpts ?? {},
        labels: body.Labels ?? {},
      }, operation);
      return json(dockerVolume(volume), 201);
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/volumes/prune",
    query: z.object({ filters: text }),
    lane: "long",
    async handler({ runtime, query, version, operation }) {
      const filters = parseFilters(query.filters, ["all", "label", "label!"]);
      const all = version < PRUNES_ANONYMOUS_FROM || (switchOf(filters, "all") ?? false);
      const { label, not_label } = volumeFilters(filters);
      const result = await runtime.volumes.prune({ all, filters: { label, not_label } }, operation);
      return json({ VolumesDeleted: result.deleted, SpaceReclaimed: result.reclaimed_bytes });
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/volumes/{name}",
    handler: async ({ runtime, params, operation }) =>
      json(dockerVolume(await runtime.volumes.inspectWithPlugins(params.name!, operation))),
  }),
  dockerRoute({
    methods: "DELETE",
    path: "/volumes/{name}",
    query: z.object({ force: flag }),
    deadline_ms: 600_000,
    async handler({ runtime, params, query, operation }) {
      await runtime.volumes.remove(params.name!, operation, { force: query.force });
      return empty();
    },
  }),
];

function volumeFilters(filters: Filters): VolumeFilters {
  const dangling = switchOf(filters, "dangling");
  return {
    ...(dangling === undefined ? {} : { dangling }),
    driver: [...filters.get("driver") ?? []],
    label: [...filters.get("label") ?? []],
    not_label: [...filters.get("label!") ?? []],
    name: [...filters.get("name") ?? []],
  };
}
