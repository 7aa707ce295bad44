/** Images: list, inspect, history, tag, remove, prune. */
import * as z from "zod";
import { LaminaError } from "../../../core/errors.ts";
import type { Image, RemovalResult } from "../../../core/model/image.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { orGone } from "../container_lookup.ts";
import { anyFits, type Filters, globFits, labelsFit, parseFilters, switchOf, untilOf } from "../filters.ts";
import { findDockerImage, type NamedImage, referenceOf, repositoryAndTag, shortName } from "../image_names.ts";
import { createdOf, dockerHistory, dockerImage, dockerImageSummary, imageLabels } from "../image_shape.ts";
import { flag, text } from "../query.ts";
import { type DockerRoute, dockerRoute, empty, json } from "../route.ts";

const listFilters = ["reference", "label", "label!", "dangling", "before", "since", "until"];

/** See the head of the file. */
export const imageRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "GET",
    path: "/images/json",
    query: z.object({ all: flag, filters: text, "shared-size": flag }),
    handler({ runtime, query, version }) {
      const filters = parseFilters(query.filters, listFilters);
      const images = imagesThatFit(runtime, filters);
      return json(images.map((image) => dockerImageSummary(image, version, { shared: query["shared-size"] })));
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/images/prune",
    query: z.object({ filters: text }),
    lane: "long",
    async handler({ runtime, query, operation }) {
      const filters = parseFilters(query.filters, ["dangling", "label", "label!", "until"]);
      const all = switchOf(filters, "dangling") === false;
      const ids = filters.size === 0 || filters.size === 1 && filters.has("dangling")
        ? undefined
        : imagesThatFit(runtime, new Map([...filters].filter(([name]) => name !== "dangling"))).map(({ id }) => id);
      const result = await runtime.images.prune({ all, ...(ids === undefined ? {} : { ids }) }, operation);
      return json({ ImagesDeleted: removalLines(result), SpaceReclaimed: result.reclaimed_bytes });
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/images/{name...}/json",
    handler({ runtime, params, version }) {
      const { image } = findDockerImage(runtime, params.name!);
      return json(dockerImage(image, runtime.system.info().storage_driver, version));
    },
  }),
  dockerRoute({
    methods: "GET",
    path: "/images/{name...}/history",
    handler: ({ runtime, params }) => json(dockerHistory(findDockerImage(runtime, params.name!).image)),
  }),
  dockerRoute({
    methods: "POST",
    path: "/images/{name...}/tag",
    query: z.object({ repo: text, tag: text }),
    async handler({ runtime, params, query, operation }) {
      const reference = referenceOf(query.repo, query.tag);
      if (reference === undefined) throw new LaminaError("INVALID_ARGUMENT", "Invalid request: query.repo is missing");
      await runtime.images.tag(findDockerImage(runtime, params.name!).name, reference, operation);
      return empty(201);
    },
  }),
  dockerRoute({
    methods: "DELETE",
    path: "/images/{name...}",
    query: z.object({ force: flag, noprune: flag }),
    deadline_ms: 600_000,
    async handler({ runtime, params, query, operation }) {
      const found = findDockerImage(runtime, params.name!);
      refuseSeveralNames(found, query.force);
      // Of several names only the one that was given goes, forced or not.
      const force = query.force && !(found.byReference && found.image.references.length > 1);
      return json(removalLines(await runtime.images.remove(found.name, { force }, operation)));
    },
  }),
];

/** Images that fit, the newest first. */
function imagesThatFit(runtime: LaminaRuntime, filters: Filters): Image[] {
  const bound = (name: string) => {
    const [given] = filters.get(name) ?? [];
    return given === undefined ? undefined : Date.parse(createdOf(findDockerImage(runtime, given).image));
  };
  const before = bound("before");
  const since = bound("since");
  const until = untilOf(filters, Date.now());
  const dangling = switchOf(filters, "dangling");
  return runtime.images.list().flatMap((summary) => {
    const created = Date.parse(createdOf(summary));
    if (before !== undefined && created >= before || since !== undefined && created <= since) return [];
    if (until !== undefined && created >= until) return [];
    if (dangling !== undefined && dangling !== (summary.references.length === 0)) return [];
    // An image is shown with those of its names that were asked for.
    const references = summary.references.filter((reference) =>
      anyFits(filters, "reference", (pattern) => referenceFits(pattern, reference))
    );
    if (filters.has("reference") && references.length === 0) return [];
    const image = orGone(() => runtime.images.inspect(summary.id));
    return image !== undefined && labelsFit(filters, imageLabels(image)) ? [{ ...image, references }] : [];
  }).sort((a, b) => Date.parse(createdOf(b)) - Date.parse(createdOf(a)));
}

/** Patterns are for the name, or for name and tag. */
function referenceFits(pattern: string, reference: string): boolean {
  const { repository, tag } = repositoryAndTag(reference);
  return globFits(shortName(pattern), repository) || globFits(shortName(pattern), `${repository}:${tag}`);
}

/** An id that has names in several repositories is not enough to delete them all. */
function refuseSeveralNames({ image, byReference }: NamedImage, force: boolean): void {
  if (byReference || force) return;
  const repositories = new Set(image.references.map((reference) => repositoryAndTag(reference).repository));
  if (repositories.size < 2) return;
  throw new LaminaError(
    "CONFLICT",
    `conflict: unable to delete ${
      image.id.slice(7, 19)
    } (must be forced) - image is referenced in multiple repositories`,
  );
}

function removalLines(result: RemovalResult): Record<string, string>[] {
  return [
    ...result.untagged.map((name) => ({ Untagged: shortName(name) })),
    ...result.deleted.map((id) => ({ Deleted: id })),
  ];
}
