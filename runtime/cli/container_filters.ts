/** `--filter` of containers. Pure. */
import type { ContainerSummary } from "../core/model/container.ts";
import { UsageError } from "./parse.ts";

const KEYS = ["ancestor", "label", "name", "status", "volume"] as const;
type Key = typeof KEYS[number];

/**
 * Those of `containers` that fit: all labels, and one of the values of each other key. A name is a regular expression, a
 * volume a name or a target, an ancestor what the creator called the image or an id.
 *
 * @throws {UsageError} for an unknown key, a status that is none, or a malformed expression.
 */
export function filterContainers<C extends ContainerSummary>(
  containers: readonly C[],
  filters: readonly string[],
): C[] {
  const values = new Map<Key, string[]>();
  for (const item of filters) {
    const match = /^([a-z]+)=(.+)$/s.exec(item);
    const key = KEYS.find((name) => name === match?.[1]);
    if (key === undefined) {
      throw new UsageError(`--filter takes one of ${KEYS.map((name) => `${name}=…`).join(", ")}; not ${item}`);
    }
    values.set(key, [...values.get(key) ?? [], match![2]!]);
  }
  const names = values.get("name")?.map(expression);
  const statuses = values.get("status")?.map(isMounted);
  const some = (key: Key, fits: (value: string) => boolean) => values.get(key)?.some(fits) ?? true;
  return containers.filter((container) =>
    (names?.some((name) => name.test(container.name)) ?? true) &&
    (statuses?.includes(container.mounted) ?? true) &&
    (values.get("label") ?? []).every((label) => hasLabel(container.labels, label)) &&
    some("volume", (volume) => container.mounts.some((mount) => isVolume(mount, volume))) &&
    some("ancestor", (image) => isAncestor(container, image))
  );
}

/** `--filter` of a prune as the API takes it. @throws {UsageError} */
export function pruneFilter(filters: readonly string[]): { label: string[]; not_label: string[]; until?: string } {
  const label: string[] = [], not_label: string[] = [];
  let until: string | undefined;
  for (const item of filters) {
    const [, key, value] = /^(label!|label|until)=(.+)$/s.exec(item) ?? [];
    if (key === undefined) throw new UsageError(`--filter takes one of label=…, label!=…, until=…; not ${item}`);
    if (key === "until") until = time(value!);
    else (key === "label" ? label : not_label).push(value!);
  }
  return { label, not_label, ...(until === undefined ? {} : { until }) };
}

function time(text: string): string {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date.toISOString();
  throw new UsageError(`--filter until= takes a date or time as 2030-01-31T12:00:00Z; not ${JSON.stringify(text)}`);
}

function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new UsageError(`--filter name= takes a regular expression; not ${JSON.stringify(text)}`);
  }
}

function isMounted(text: string): boolean {
  if (text === "mounted" || text === "created") return text === "mounted";
  throw new UsageError(`--filter status= takes mounted or created; not ${JSON.stringify(text)}`);
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
}

function isVolume(mount: ContainerSummary["mounts"][number], wanted: string): boolean {
  return mount.target === wanted || (mount.type !== "tmpfs" && mount.type !== "image" && mount.source === wanted);
}

function isAncestor({ image, image_id }: ContainerSummary, wanted: string): boolean {
  const digits = wanted.replace(/^sha256:/, "");
  return image === wanted || image === `${wanted}:latest` ||
    (/^[0-9a-f]{4,64}$/.test(digits) && image_id.startsWith(`sha256:${digits}`));
}
