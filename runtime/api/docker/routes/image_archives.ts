/** Images as archives: load, save, import; and what would need a registry. */
import * as z from "zod";
import type { ImportedImage, ImportResult } from "../../../core/model/image.ts";
import type { ProgressEvent } from "../../../core/operation.ts";
import { LaminaError } from "../../../core/errors.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { dockerMessage, StorageOnly } from "../errors.ts";
import { findDockerImage, isNameOnly, referenceOf, repositoryAndTag, shortName } from "../image_names.ts";
import { flag, text, texts } from "../query.ts";
import { type DockerAnswer, type DockerRoute, dockerRoute, tar } from "../route.ts";
import type { ProgressLines } from "../../streams.ts";
import type { DockerContext } from "../route.ts";

const noRegistry = "it downloads nothing. Bring images as archives: docker load, docker import, or lamina image import";

/** See the head of the file. */
export const imageArchiveRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "POST",
    path: "/images/load",
    query: z.object({ quiet: flag, platform: text }),
    takesInput: true,
    lane: "long",
    handler({ runtime, query, input, operation }): DockerAnswer {
      return {
        kind: "progress",
        work: async (progress) =>
          await runtime.images.import({ stream: input }, platformOf(query.platform), {
            ...operation,
            progress: query.quiet ? () => {} : progress,
          }),
        lines: {
          progress: loadingLine,
          result: (result) => (result as ImportResult).images.flatMap(loadedLines),
          error: errorLine,
        },
      };
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/images/get",
    query: z.object({ names: texts }),
    lane: "long",
    // The command line repeats the parameter, other clients put commas.
    handler: (context) => save(context, context.query.names.flatMap((names) => names.split(","))),
  }),
  dockerRoute({
    methods: "GET",
    path: "/images/{name...}/get",
    lane: "long",
    handler: (context) => save(context, [context.params.name!]),
  }),
  dockerRoute({
    methods: "POST",
    path: "/images/create",
    query: z.object({
      fromImage: text,
      fromSrc: text,
      repo: text,
      tag: text,
      message: text,
      changes: texts,
      platform: text,
    }),
    takesInput: true,
    lane: "long",
    handler({ runtime, query, input, operation }): DockerAnswer {
      if (query.fromImage !== undefined) throw new StorageOnly(noRegistry);
      if (query.fromSrc !== "-") throw new StorageOnly(noRegistry);
      const reference = referenceOf(query.repo, query.tag);
      const options = {
        ...(reference === undefined ? {} : { reference }),
        ...platformOf(query.platform),
        rootfs: {
          // Several lines in one value: how clients without lists send them.
          changes: query.changes.flatMap((lines) => lines.split("\n")).filter((line) => line.trim() !== ""),
          message: query.message ?? "Imported from -",
        },
      };
      return {
        kind: "progress",
        work: async (progress) => await runtime.images.import({ stream: input }, options, { ...operation, progress }),
        lines: {
          progress: loadingLine,
          result: (result) => (result as ImportResult).images.map(({ id }) => ({ status: id })),
          error: errorLine,
        },
      };
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/images/{name...}/push",
    handler() {
      throw new StorageOnly("it uploads nothing. Write an archive with docker save or lamina image export");
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/images/search",
    handler() {
      throw new StorageOnly(noRegistry);
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/distribution/{name...}/json",
    handler() {
      throw new StorageOnly(noRegistry);
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/auth",
    handler() {
      throw new StorageOnly("it talks to no registry, so there is nothing to log in to");
    },
  }),
];

/** As Docker: a name without a tag means all of its tags. */
async function save(
  { runtime, operation }: Pick<DockerContext<undefined, undefined>, "runtime" | "operation">,
  given: readonly string[],
): Promise<DockerAnswer> {
  if (given.length === 0) throw new LaminaError("INVALID_ARGUMENT", "Cannot save: no image was named (query.names)");
  const names = given.flatMap((name) => allTags(runtime, name));
  return tar(await runtime.images.export(names, { format: "docker", compression: "none" }, operation));
}

function allTags(runtime: LaminaRuntime, given: string): string[] {
  if (isNameOnly(given)) {
    const tags = runtime.images.list().flatMap(({ references }) => references)
      .filter((reference) => repositoryAndTag(reference).repository === shortName(given));
    if (tags.length > 0) return tags;
  }
  return [findDockerImage(runtime, given).name];
}

/** The first, where a client names several. */
function platformOf(platform: string | undefined): { platform?: string } {
  if (platform === undefined) return {};
  if (!platform.startsWith("{") && !platform.startsWith("[")) return { platform };
  let value: unknown;
  try {
    value = JSON.parse(platform);
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", "Invalid request: query.platform is not JSON", { cause: error });
  }
  const { os = "linux", architecture, variant } = (Array.isArray(value) ? value[0] : value) ?? {};
  return { platform: [os, architecture, variant].filter(Boolean).join("/") };
}

function loadedLines({ id, references }: ImportedImage): Record<string, string>[] {
  if (references.length === 0) return [{ stream: `Loaded image ID: ${id}\n` }];
  return references.map((reference) => ({ stream: `Loaded image: ${shortName(reference)}\n` }));
}

function loadingLine({ phase, id, current, total, unit, message }: ProgressEvent): Record<string, unknown> {
  const status = message ?? (phase === "unpack" ? "Loading layer" : `${phase[0]?.toUpperCase()}${phase.slice(1)}`);
  const counts = unit === undefined || unit === "bytes";
  return {
    status,
    ...(message === undefined && counts
      ? { progressDetail: { current, ...(total === undefined ? {} : { total }) } }
      : { progressDetail: {} }),
    id,
  };
}

const errorLine: ProgressLines["error"] = (error) => {
  const message = dockerMessage(error);
  return { errorDetail: { message }, error: message };
};
