/** Images in Docker's shapes. Pure. */
import type { Image, ImageSummary } from "../../core/model/image.ts";
import type { MinorVersion } from "./api_version.ts";
import { shortName } from "./image_names.ts";
import { NEVER, unixSeconds } from "./times.ts";

/** Up to 1.42 an image without a name had these. */
const NONE_UNTIL = 42;
/** From 1.44 on there is no `VirtualSize`. */
const VIRTUAL_SIZE_UNTIL = 43;

/** When the image was made; images that do not say so count from their import. */
export function createdOf(image: ImageSummary): string {
  return image.created_at ?? image.imported_at;
}

/** Labels of the image's config. */
export function imageLabels(image: Image): Record<string, string> {
  return stringMap(runtimeConfig(image).Labels);
}

/** The `config` object of the image config. */
export function runtimeConfig(image: Image): Record<string, unknown> {
  const { config } = image.config;
  return typeof config === "object" && config !== null ? config as Record<string, unknown> : {};
}

/** The string values of a map that comes from outside. */
export function stringMap(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter(([, item]) => typeof item === "string"));
}

/** References in short form. */
export function repoTags(image: ImageSummary): string[] {
  return image.references.map(shortName);
}

/** A line of `GET /images/json`. `-1`: not counted. */
export function dockerImageSummary(
  image: Image,
  version: MinorVersion,
  counted: { readonly shared?: boolean; readonly containers?: boolean } = {},
): Record<string, unknown> {
  const tags = repoTags(image);
  const nameless = tags.length === 0 && version <= NONE_UNTIL;
  return {
    Id: image.id,
    ParentId: "",
    RepoTags: nameless ? ["<none>:<none>"] : tags,
    RepoDigests: nameless ? ["<none>@<none>"] : [],
    Created: unixSeconds(createdOf(image)),
    Size: image.size_bytes,
    ...(version <= VIRTUAL_SIZE_UNTIL ? { VirtualSize: image.size_bytes } : {}),
    SharedSize: counted.shared ? image.size_bytes - image.unique_bytes : -1,
    Containers: counted.containers ? image.containers : -1,
    Labels: imageLabels(image),
  };
}

/** `GET /images/{name}/json`. */
export function dockerImage(image: Image, driver: string, version: MinorVersion): Record<string, unknown> {
  const { config } = image;
  const [os = "linux", architecture = "", variant] = image.platform.split("/");
  const history = Array.isArray(config.history) ? config.history : [];
  return {
    Id: image.id,
    RepoTags: repoTags(image),
    RepoDigests: [],
    Parent: "",
    Comment: textOf(history.at(-1)?.comment),
    Created: createdOf(image),
    DockerVersion: textOf(config.docker_version),
    Author: textOf(config.author),
    Config: runtimeConfig(image),
    Architecture: architecture,
    ...(variant === undefined ? {} : { Variant: variant }),
    Os: os,
    Size: image.size_bytes,
    ...(version <= VIRTUAL_SIZE_UNTIL ? { VirtualSize: image.size_bytes } : {}),
    GraphDriver: { Name: driver, Data: {} },
    RootFS: { Type: "layers", Layers: image.layer_list.map(({ diff_id }) => diff_id) },
    Metadata: { LastTagTime: NEVER },
  };
}

/** `GET /images/{name}/history`, the newest step first. */
export function dockerHistory(image: Image): Record<string, unknown>[] {
  const history: Record<string, unknown>[] = Array.isArray(image.config.history) ? [...image.config.history] : [];
  const layers = [...image.layer_list];
  // A history may be missing or tell of fewer layers than there are.
  while (history.filter(({ empty_layer }) => empty_layer !== true).length < layers.length) history.push({});
  const steps = history.map((step) => ({
    Id: "<missing>",
    Created: stepTime(step, image),
    CreatedBy: textOf(step.created_by),
    Tags: null as string[] | null,
    Size: step.empty_layer === true ? 0 : layers.shift()?.size_bytes ?? 0,
    Comment: textOf(step.comment),
  })).reverse();
  if (steps[0] !== undefined) {
    steps[0].Id = image.id;
    const tags = repoTags(image);
    if (tags.length > 0) steps[0].Tags = tags;
  }
  return steps;
}

/** A step below a commit may have no time of its own: not the commit's then, but none. */
function stepTime(step: Record<string, unknown>, image: Image): number {
  const seconds = unixSeconds(textOf(step.created));
  if (!Number.isNaN(seconds)) return seconds;
  return image.created_at === undefined ? unixSeconds(image.imported_at) : 0;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
