/** Containers in a list, and pruning them. */
import * as z from "zod";
import type { ContainerSummary } from "../../../core/model/container.ts";
import type { Operation } from "../../../core/operation.ts";
import { isLaminaError, LaminaError } from "../../../core/errors.ts";
import type { LaminaRuntime } from "../../../services.ts";
import { findContainer, imageOf, orGoneLater, sizesOf, volumeFinder } from "../container_lookup.ts";
import { dockerConfig, dockerContainerSummary, type FindVolume } from "../container_shape.ts";
import { anyFits, type Filters, labelsFit, parseFilters, patternOf, untilOf } from "../filters.ts";
import { findDockerImage } from "../image_names.ts";
import { count, flag, text } from "../query.ts";
import { type DockerRoute, dockerRoute, json } from "../route.ts";

/** Docker's, with those that nothing here has: they fit no container. */
const known = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "label!",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const withoutMatch = ["exited", "expose", "health", "network", "publish"];
const states = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

/** See the head of the file. */
export const containerListRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "GET",
    path: "/containers/json",
    query: z.object({ all: flag, limit: count, size: flag, filters: text }),
    deadline_ms: 600_000,
    async handler({ runtime, query, operation }) {
      const filters = parseFilters(query.filters, known);
      const limited = query.limit !== undefined && query.limit > 0;
      // Nothing runs here: without `all` only a question for a state has an answer.
      const wanted = query.all || limited || filters.has("status");
      const found = wanted ? await containersThatFit(runtime, filters, operation) : [];
      const shown = limited ? found.slice(0, query.limit) : found;
      const volumes = volumeFinder(runtime);
      const lines = [];
      for (const container of shown) lines.push(await lineOf(runtime, container, query.size, volumes, operation));
      return json(lines.filter((line) => line !== undefined));
    },
  }),
  dockerRoute({
    methods: "POST",
    path: "/containers/prune",
    query: z.object({ filters: text }),
    lane: "long",
    async handler({ runtime, query, operation }) {
      const filters = parseFilters(query.filters, ["label", "label!", "until"]);
      const until = untilOf(filters, Date.now());
      const { deleted, reclaimed_bytes } = await runtime.containers.prune({
        label: [...filters.get("label") ?? []],
        not_label: [...filters.get("label!") ?? []],
        ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
      }, operation);
      return json({ ContainersDeleted: deleted, SpaceReclaimed: reclaimed_bytes });
    },
  }),
];

/** Newest first. */
async function containersThatFit(
  runtime: LaminaRuntime,
  filters: Filters,
  operation: Operation,
): Promise<ContainerSummary[]> {
  for (const status of filters.get("status") ?? []) {
    if (!states.includes(status)) throw invalid(`status=${status}`, `it is one of ${states.join(", ")}`);
  }
  const bound = async (name: string) => {
    const [given] = filters.get(name) ?? [];
    return given === undefined ? undefined : (await findContainer(runtime, given, operation)).id;
  };
  const all = runtime.containers.list().toReversed();
  const position = (id: string | undefined) => id === undefined ? undefined : all.findIndex((item) => item.id === id);
  const [before, since] = [position(await bound("before")), position(await bound("since"))];
  const names = (filters.get("name") ?? []).map((value) => patternOf("name", value));
  const ids = (filters.get("id") ?? []).map((value) => patternOf("id", value));
  const ancestors = filters.get("ancestor")?.map((name) => imageIdOf(runtime, name));
  return all.filter((container, i) =>
    (before === undefined || i > before) && (since === undefined || i < since) &&
    anyFits(filters, "status", (status) => status === "created") &&
    anyFits(filters, "is-task", (value) => value === "false") &&
    withoutMatch.every((name) => !filters.has(name)) &&
    (names.length === 0 || names.some((name) => name.test(container.name) || name.test(`/${container.name}`))) &&
    (ids.length === 0 || ids.some((id) => id.test(container.id))) &&
    (ancestors === undefined || ancestors.includes(container.image_id)) &&
    anyFits(filters, "volume", (volume) => usesVolume(container, volume)) &&
    labelsFit(filters, container.labels)
  );
}

function usesVolume({ mounts }: ContainerSummary, volume: string): boolean {
  return mounts.some((mount) => mount.target === volume || mount.type !== "tmpfs" && mount.source === volume);
}

function imageIdOf(runtime: LaminaRuntime, name: string): string | undefined {
  try {
    return findDockerImage(runtime, name).image.id;
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

/** `undefined` when it went meanwhile. */
async function lineOf(
  runtime: LaminaRuntime,
  { id }: ContainerSummary,
  size: boolean,
  volumes: FindVolume,
  operation: Operation,
): Promise<unknown> {
  const container = await orGoneLater(runtime.containers.inspect(id, { size }, operation));
  if (container === undefined) return undefined;
  const image = imageOf(runtime, container);
  const sizes = sizesOf(container, image.size_bytes);
  return dockerContainerSummary(container, dockerConfig(container, image.config), volumes, sizes);
}

function invalid(what: string, why: string): Error {
  return new LaminaError("INVALID_ARGUMENT", `invalid filter '${what}': ${why}`);
}
