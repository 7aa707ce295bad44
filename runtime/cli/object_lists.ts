/** Lists of objects on the command line: of a kind, in a namespace or all, by their labels. */
import type { KubeObject, WatchLine } from "../core/model/object.ts";
import type { KubeKind } from "../core/specs/kube/kinds.ts";
import type { Client } from "./client.ts";
import { type ObjectPlace, placeOf } from "./kube_objects.ts";
import { type LabelSelector, parseLabelSelector } from "./label_selector.ts";

/** Flag of the commands that take all objects with certain labels. */
export const selectorFlag = {
  kind: "text",
  short: "l",
  value: "SELECTOR",
  help: "Only objects with these labels: KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY, !KEY; with , between",
} as const;

/** Which objects. */
export interface ListOptions {
  /** Absent: of all. */
  readonly namespace: string | undefined;
  /** As `parseLabelSelector` takes it. */
  readonly selector?: string | undefined;
  readonly signal: AbortSignal;
}

/** The objects of a kind, by namespace and name. */
export async function listObjects(api: Client, kind: KubeKind, options: ListOptions): Promise<KubeObject[]> {
  const fits = selectorOf(options);
  const all = await api.json<KubeObject[]>("GET", listPath(kind, options.namespace), { signal: options.signal });
  return all.filter(({ metadata }) => fits(metadata.labels));
}

/** The places of such objects. */
export async function listPlaces(api: Client, kind: KubeKind, options: ListOptions): Promise<ObjectPlace[]> {
  return (await listObjects(api, kind, options)).map(placeOf);
}

/** The objects that are there, a `bookmark`, then every change; until the signal aborts. */
export async function* watchObjects(api: Client, kind: KubeKind, options: ListOptions): AsyncGenerator<WatchLine> {
  const fits = selectorOf(options);
  const call = { query: { watch: true }, signal: options.signal };
  for await (const line of api.lines<WatchLine>(listPath(kind, options.namespace), call)) {
    if (line.type === "bookmark" || fits(line.object.metadata.labels)) yield line;
  }
}

function selectorOf({ selector }: ListOptions): LabelSelector {
  return selector === undefined ? () => true : parseLabelSelector(selector);
}

function listPath(kind: KubeKind, namespace: string | undefined): string {
  const whole = namespace === undefined || !kind.namespaced;
  return whole ? `/v1/${kind.plural}` : `/v1/${kind.plural}/${encodeURIComponent(namespace)}`;
}
