/** Routes of volumes. */
import * as z from "zod";
import { RemovalResult } from "../../core/specs/image.ts";
import {
  BackupCompression,
  ResizedVolume,
  Volume,
  VolumeClone,
  VolumeCreate,
  VolumeDetails,
  VolumePrune,
  VolumeRename,
  VolumeResize,
  VolumeSnapshot,
  VolumeSnapshotRequest,
} from "../../core/specs/volume.ts";
import { type Route, route } from "../route.ts";
import { queryFlag, volumeParams } from "./schemas.ts";

const values = (description: string) => z.array(z.string().min(1).max(4096)).max(100).default([]).describe(description);

const snapshotParams = volumeParams.extend({ snapshot: z.string().min(1).max(255).describe("Name") });

/** See the head of the file. */
export const volumeRoutes: readonly Route[] = [
  route({
    id: "volumes.create",
    method: "POST",
    path: "/v1/volumes",
    summary: "Create a volume; the same again is success",
    body: VolumeCreate,
    response: { kind: "json", schema: Volume, status: 201 },
    deadline_ms: 600_000,
    handler: ({ runtime, body, operation }) => runtime.volumes.create(body, operation),
  }),
  route({
    id: "volumes.list",
    method: "GET",
    path: "/v1/volumes",
    summary: "List volumes",
    query: z.strictObject({
      dangling: z.enum(["true", "false", "1", "0"]).optional().describe("true: used by nobody; false: by somebody"),
      driver: values("Of one of these drivers"),
      label: values("With all of these labels: key or key=value"),
      not_label: values("With none of these"),
      name: values("Regular expressions, one of which fits the name"),
    }),
    response: { kind: "json", schema: z.array(Volume) },
    async handler({ runtime, query: { dangling, ...lists }, operation, warn }) {
      const filters = {
        ...lists,
        ...(dangling === undefined ? {} : { dangling: dangling === "true" || dangling === "1" }),
      };
      const { volumes, warnings } = await runtime.volumes.listWithPlugins(filters, operation);
      warnings.forEach(warn);
      return volumes;
    },
  }),
  route({
    id: "volumes.prune",
    method: "POST",
    path: "/v1/volumes/prune",
    summary: "Remove volumes that nobody uses",
    description: "Anonymous ones; with `all` every unused one. Never one with driver options.",
    body: VolumePrune,
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
    query: z.strictObject({ size: queryFlag("Also measure it") }),
    response: { kind: "json", schema: VolumeDetails },
    deadline_ms: 600_000,
    handler: async ({ runtime, params, query, operation }) => {
      const volume = await runtime.volumes.inspectWithPlugins(params.volume, operation);
      if (!query.size) return volume;
      return { ...volume, space: await runtime.volumes.space(params.volume, operation) };
    },
  }),
  route({
    id: "volumes.remove",
    method: "DELETE",
    path: "/v1/volumes/{volume}",
    summary: "Remove a volume and its data; refused while anybody uses it",
    params: volumeParams,
    query: z.strictObject({ force: queryFlag("A volume that does not exist is success") }),
    response: { kind: "json", schema: RemovalResult },
    deadline_ms: 600_000,
    handler: ({ runtime, params, query, operation }) => runtime.volumes.remove(params.volume, operation, query),
  }),
  route({
    id: "volumes.rename",
    method: "POST",
    path: "/v1/volumes/{volume}/rename",
    summary: "Give a volume that nobody uses another name",
    params: volumeParams,
    body: VolumeRename,
    response: { kind: "json", schema: Volume },
    handler: ({ runtime, params, body, operation }) => runtime.volumes.rename(params.volume, body.name, operation),
  }),
  route({
    id: "volumes.resize",
    method: "POST",
    path: "/v1/volumes/{volume}/resize",
    summary: "Raise the limit of a volume that was made with a size",
    params: volumeParams,
    body: VolumeResize,
    response: { kind: "json", schema: ResizedVolume },
    deadline_ms: 600_000,
    handler: ({ runtime, params, body, operation }) =>
      runtime.volumes.resize(params.volume, body.size_bytes, operation),
  }),
  route({
    id: "volumes.backup",
    method: "GET",
    path: "/v1/volumes/{volume}/backup",
    summary: "The volume as a tar, with everything that belongs to its files",
    description: "Of one instant where the file system can do that; otherwise a header `lamina-warning` says so " +
      "(percent-encoded). A failure midway breaks the connection.",
    params: volumeParams,
    query: z.strictObject({ compression: BackupCompression.default("none") }),
    response: { kind: "tar", describe: "The volume" },
    lane: "long",
    handler: ({ runtime, params, query, operation }) => runtime.volumes.backup(params.volume, query, operation),
  }),
  route({
    id: "volumes.restore",
    method: "PUT",
    path: "/v1/volumes/{volume}/backup",
    summary: "Replace what a volume holds by a tar, in one step; makes the volume where there is none",
    description: "The archive may be compressed with gzip or zstd. One that is truncated or hostile changes nothing.",
    params: volumeParams,
    query: z.strictObject({
      force: queryFlag("Also where it is not empty, or containers that are not mounted use it"),
    }),
    archive: "required",
    response: { kind: "json", schema: Volume },
    progress: true,
    lane: "long",
    handler: ({ runtime, params, query, archive, operation }) =>
      runtime.volumes.restore(params.volume, archive!, query, operation),
  }),
  route({
    id: "volumes.clone",
    method: "POST",
    path: "/v1/volumes/{volume}/clone",
    summary: "Make a new volume that begins as this one, or a snapshot of it, is",
    params: volumeParams,
    body: VolumeClone,
    response: { kind: "json", schema: Volume, status: 201 },
    lane: "long",
    handler: ({ runtime, params, body: { copy, ...to }, operation }) =>
      runtime.volumes.clone(params.volume, to, { copy }, operation),
  }),
  route({
    id: "volumes.snapshot",
    method: "POST",
    path: "/v1/volumes/{volume}/snapshots",
    summary: "Freeze what a volume holds now",
    params: volumeParams,
    body: VolumeSnapshotRequest,
    response: { kind: "json", schema: VolumeSnapshot, status: 201 },
    lane: "long",
    handler: ({ runtime, params, body, operation }) => runtime.volumes.snapshot(params.volume, body, operation),
  }),
  route({
    id: "volumes.snapshots",
    method: "GET",
    path: "/v1/volumes/{volume}/snapshots",
    summary: "List the snapshots of a volume, oldest first",
    params: volumeParams,
    response: { kind: "json", schema: z.array(VolumeSnapshot) },
    handler: ({ runtime, params }) => runtime.volumes.snapshots(params.volume),
  }),
  route({
    id: "volumes.remove_snapshot",
    method: "DELETE",
    path: "/v1/volumes/{volume}/snapshots/{snapshot}",
    summary: "Remove a snapshot",
    params: snapshotParams,
    response: { kind: "empty" },
    deadline_ms: 600_000,
    handler: ({ runtime, params, operation }) =>
      runtime.volumes.removeSnapshot(params.volume, params.snapshot, operation),
  }),
];
