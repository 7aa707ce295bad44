/** Routes of images. */
import * as z from "zod";
import { LaminaError } from "../../core/errors.ts";
import {
  ExportCompression,
  ExportFormat,
  Image,
  ImageSummary,
  ImportResult,
  RemovalResult,
} from "../../core/specs/image.ts";
import { type Route, route } from "../route.ts";
import { imageParams, PruneRequest, queryFlag } from "./schemas.ts";

const hostPath = z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path on the host");

/** Body of a tag. */
export const TagRequest = z.strictObject({
  reference: z.string().min(1).max(512).describe("name[:tag] that will point at the image"),
}).meta({ id: "TagRequest" });

/** See the head of the file. */
export const imageRoutes: readonly Route[] = [
  route({
    id: "images.import",
    method: "POST",
    path: "/v1/images/import",
    summary: "Import images",
    description:
      "From a path on the host (`path`) or from the archive in the body: an OCI layout (directory or tar), a " +
      "`docker save` archive, or a rootfs tar (`reference` needed), each also compressed.",
    query: z.strictObject({
      path: hostPath.optional(),
      reference: z.string().min(1).max(512).optional().describe("Name for the image; needed for a rootfs tar"),
      platform: z.string().min(1).max(128).optional().describe("os/arch[/variant]; absent: this machine's"),
    }),
    archive: "optional",
    response: { kind: "json", schema: ImportResult },
    progress: true,
    lane: "long",
    deadline_ms: 6 * 3600_000,
    handler: ({ runtime, query: { path, reference, platform }, archive, operation }) => {
      if ((path === undefined) === (archive === undefined)) {
        throw new LaminaError(
          "INVALID_ARGUMENT",
          `Cannot import: ${path === undefined ? "neither" : "both"} a path and a body given. ` +
            "Send the archive as the body, or its absolute path on the host as ?path=",
        );
      }
      const source = archive === undefined ? { path: path! } : { stream: archive };
      return runtime.images.import(source, { reference, platform }, operation);
    },
  }),
  route({
    id: "images.list",
    method: "GET",
    path: "/v1/images",
    summary: "List images",
    response: { kind: "json", schema: z.array(ImageSummary) },
    handler: ({ runtime }) => runtime.images.list(),
  }),
  route({
    id: "images.prune",
    method: "POST",
    path: "/v1/images/prune",
    summary: "Remove images that nothing uses",
    body: PruneRequest,
    response: { kind: "json", schema: RemovalResult },
    lane: "long",
    handler: ({ runtime, body, operation }) => runtime.images.prune(body, operation),
  }),
  route({
    id: "images.inspect",
    method: "GET",
    path: "/v1/images/{image}",
    summary: "Show an image with its layers and config",
    params: imageParams,
    response: { kind: "json", schema: Image },
    handler: ({ runtime, params }) => runtime.images.inspect(params.image),
  }),
  route({
    id: "images.remove",
    method: "DELETE",
    path: "/v1/images/{image}",
    summary: "Remove a reference and, with the last one, the image",
    params: imageParams,
    query: z.strictObject({ force: queryFlag("Remove every reference; containers keep their layers") }),
    response: { kind: "json", schema: RemovalResult },
    deadline_ms: 600_000,
    handler: ({ runtime, params, query, operation }) => runtime.images.remove(params.image, query, operation),
  }),
  route({
    id: "images.tag",
    method: "POST",
    path: "/v1/images/{image}/tag",
    summary: "Point a reference at an image",
    params: imageParams,
    body: TagRequest,
    response: { kind: "empty" },
    handler: ({ runtime, params, body, operation }) => runtime.images.tag(params.image, body.reference, operation),
  }),
  route({
    id: "images.export",
    method: "GET",
    path: "/v1/images/{image}/export",
    summary: "Export images as one tar",
    description: "Layers are byte-identical to the imported ones by diffID. A failure midway breaks the connection.",
    params: imageParams,
    query: z.strictObject({
      format: ExportFormat.default("oci"),
      compression: ExportCompression.default("none"),
      also: z.array(z.string().min(1).max(512)).max(100).default([]).describe("Further images for the same archive"),
    }),
    response: { kind: "tar", describe: "OCI image layout or docker archive" },
    lane: "long",
    handler: ({ runtime, params, query: { also, ...options }, operation }) =>
      runtime.images.export([params.image, ...also], options, operation),
  }),
];
