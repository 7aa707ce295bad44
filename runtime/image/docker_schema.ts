/** Documents of `docker save` archives. */
import * as z from "zod";
import { Digest } from "../core/ids.ts";
import { goArray, goMap, optionalText } from "./json_document.ts";
import { MAX_LAYERS } from "./oci_schema.ts";

const memberPath = z.string().min(1).max(4096);

/** `manifest.json`: one entry per image. */
export const DockerManifest = z.array(z.object({
  Config: memberPath,
  RepoTags: goArray(z.string().max(512), 1000),
  Layers: goArray(memberPath, 2 * MAX_LAYERS),
  LayerSources: goMap(z.object({ digest: Digest.optional(), size: z.int().min(0).optional() })),
})).min(1, "it names no image").max(1000);
/** See the schema of the same name. */
export type DockerManifest = z.infer<typeof DockerManifest>;

/** `repositories`: repository, tag, id of the top layer. */
export const DockerRepositories = z.record(
  z.string().max(512),
  z.record(z.string().max(128), z.string().regex(/^[0-9a-f]{64}$/, "a layer id has 64 hexadecimal digits")),
);

/** `ID/json` of the format before `manifest.json`: a layer with the image it makes. */
export const DockerLegacyLayer = z.looseObject({
  id: z.string().regex(/^[0-9a-f]{64}$/, "a layer id has 64 hexadecimal digits"),
  parent: z.string().regex(/^(?:[0-9a-f]{64})?$/, "a layer id has 64 hexadecimal digits").nullish()
    .transform((id) => id || undefined),
  created: optionalText,
  author: optionalText,
  comment: optionalText,
  architecture: optionalText,
  os: optionalText,
  throwaway: z.boolean().nullish(),
  container_config: z.looseObject({ Cmd: goArray(z.string(), 10_000) }).nullish(),
  config: z.record(z.string(), z.unknown()).nullish(),
});
/** See the schema of the same name. */
export type DockerLegacyLayer = z.infer<typeof DockerLegacyLayer>;
