/** Routes of applied objects: five for each kind, and their events. */
import * as z from "zod";
import { LaminaError } from "../../core/errors.ts";
import { KUBE_KINDS, type KubeKind } from "../../core/specs/kube/kinds.ts";
import { type Route, route } from "../route.ts";
import { queryFlag } from "./schemas.ts";

/** Most bytes of an object as JSON: a ConfigMap's 1 MiB of data, whatever it has to be escaped to. */
const MAX_OBJECT_BYTES = 8 << 20;

const name = z.string().min(1).max(253).describe("metadata.name");
const namespace = z.string().min(1).max(63).describe("metadata.namespace");
const anyObject = z.record(z.string(), z.unknown()).refine((object) => Object.keys(object).length > 0, "is empty");
const watchQuery = z.strictObject({
  watch: queryFlag(
    "Stream the objects that are there, each as `added`, a `bookmark`, and then every change, as NDJSON",
  ),
});

const podDeletion = z.strictObject({
  grace_period_seconds: z.coerce.number().int().min(0).max(86_400).optional()
    .describe("Seconds for whoever works in the pod's root; default: the pod's own. 0: nobody is waited for"),
});

/** What happened to an object. `GET /v1/object-events` lists these. */
const ObjectEvent = z.object({
  involvedObject: z.object({
    kind: z.string(),
    namespace: z.string().optional(),
    name: z.string(),
    uid: z.string().optional(),
  }),
  type: z.enum(["Normal", "Warning"]),
  reason: z.string(),
  message: z.string(),
  count: z.int(),
  firstTimestamp: z.iso.datetime(),
  lastTimestamp: z.iso.datetime(),
}).meta({ id: "ObjectEvent" });

/** See the head of the file. */
export const objectRoutes: readonly Route[] = [
  ...KUBE_KINDS.flatMap((kind) => routesOf(kind)),
  route({
    id: "objects.events",
    method: "GET",
    path: "/v1/object-events",
    summary: "What happened to objects lately, the last the latest",
    query: z.strictObject({
      kind: z.string().max(64).optional(),
      namespace: namespace.optional(),
      name: name.optional(),
    }),
    response: { kind: "json", schema: z.array(ObjectEvent) },
    handler: ({ runtime, query }) => runtime.objects.events(query),
  }),
];

/** Where an object is: its namespace, where its kind has one, and its name. */
interface Place {
  readonly namespace?: string;
  readonly name?: string;
}

function routesOf(kind: KubeKind): Route[] {
  const { plural } = kind;
  const one = kind.namespaced ? `/v1/${plural}/{namespace}/{name}` : `/v1/${plural}/{name}`;
  const oneParams = kind.namespaced ? z.strictObject({ namespace, name }) : z.strictObject({ name });
  return [
    ...reading(kind, `/v1/${plural}`, `${plural}.list`, `List objects of kind ${kind.kind}`),
    ...kind.namespaced
      ? reading(
        kind,
        `/v1/${plural}/{namespace}`,
        `${plural}.listOf`,
        `List objects of kind ${kind.kind} in a namespace`,
        z.strictObject({ namespace }),
      )
      : [],
    ...reading(kind, one, `${plural}.get`, `Show a ${kind.kind}`, oneParams),
    route({
      id: `${plural}.apply`,
      method: "PUT",
      path: one,
      summary: `Apply a ${kind.kind}: make it, or change it by a three-way merge`,
      description:
        "Fields that are given are set; those that were given the last time and are not any more go; those " +
        "that others have set stay. The same again changes nothing.",
      params: oneParams,
      query: z.strictObject({ dry_run: queryFlag("Say what would be done, and do nothing") }),
      body: anyObject,
      bodyShape: kind.schema,
      bodyLimit_bytes: MAX_OBJECT_BYTES,
      response: {
        kind: "json",
        schema: z.object({ result: z.enum(["created", "configured", "unchanged"]), object: kind.schema }),
      },
      handler: ({ runtime, params, query, body, operation }) =>
        runtime.objects.apply(named(kind, params, body), { dryRun: query.dry_run }, operation),
    }),
    route({
      id: `${plural}.delete`,
      method: "DELETE",
      path: one,
      summary: `Delete a ${kind.kind}`,
      description: "Where something has to be taken down first it is only marked (`gone` is false), and goes later.",
      params: oneParams,
      query: kind.kind === "Pod" ? podDeletion : z.strictObject({}),
      response: { kind: "json", schema: z.object({ gone: z.boolean(), object: kind.schema }) },
      handler: ({ runtime, params, query, operation }) => {
        const place: Place = params;
        const { grace_period_seconds: grace_s } = query as z.output<typeof podDeletion>;
        return runtime.objects.delete(kind.kind, place.namespace ?? "", place.name!, operation, { grace_s });
      },
    }),
  ];
}

/** A list or one object, and the same as a stream. */
function reading(
  kind: KubeKind,
  path: string,
  id: string,
  summary: string,
  params: z.ZodObject = z.strictObject({}),
): Route[] {
  const single = path.endsWith("/{name}");
  return [route({
    id,
    method: "GET",
    path,
    summary,
    params,
    query: watchQuery,
    response: { kind: "json", schema: single ? kind.schema : z.array(kind.schema) },
    handler: ({ runtime, params }) => {
      const { namespace, name } = params as Place;
      if (single) return runtime.objects.get(kind.kind, namespace ?? "", name!);
      return runtime.objects.list(kind.kind, namespace);
    },
    watch: route({
      id: `${id}Watch`,
      method: "GET",
      path,
      summary,
      params,
      query: watchQuery,
      lane: "watch",
      response: {
        kind: "ndjson",
        schema: z.discriminatedUnion("type", [
          z.object({ type: z.enum(["added", "modified", "deleted"]), object: kind.schema }),
          z.object({ type: z.literal("bookmark") }),
        ]),
      },
      handler: ({ runtime, params, operation }) =>
        runtime.objects.watch({ kind: kind.kind, ...params as Place }, operation.signal),
    }),
  })];
}

/** The object with the name and namespace of its path where it has none; another one is refused by its field. */
function named(kind: KubeKind, place: Place, body: Record<string, unknown>): unknown {
  const metadata = typeof body.metadata === "object" && body.metadata !== null ? body.metadata : {};
  const given: Record<string, unknown> = { ...metadata };
  for (const [field, value] of Object.entries(place)) given[field] ??= value;
  const whole = { apiVersion: kind.apiVersion, kind: kind.kind, ...body, metadata: given };
  const differs = whole.kind !== kind.kind
    ? `kind is ${String(whole.kind).slice(0, 80)}`
    : Object.entries(place).filter(([field, value]) => given[field] !== value).map(([field]) =>
      `metadata.${field} is ${String(given[field]).slice(0, 253)}`
    )[0];
  if (differs !== undefined) {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid request: the path names another object: ${differs}`);
  }
  return whole;
}
