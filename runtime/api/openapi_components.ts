/** The named schemas of the OpenAPI document. Pure. */
import * as z from "zod";
import type { Route } from "./route.ts";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Suffix of the sent form of a schema that is also received, in another form (fields with defaults). */
const INPUT_SUFFIX = "Input";

/** Where a schema of that name is found. */
export function componentUri(id: string): string {
  return `#/components/schemas/${id}`;
}

/** A schema that is written in place; named schemas inside of it are referred to. */
export function toJsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, $defs: __, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  return JSON.parse(JSON.stringify(json).replaceAll("#/$defs/", componentUri("")));
}

/**
 * Every named schema that these routes use. What is only sent has its sent form, what is only received its received
 * form; one that is both and differs is there twice, the sent form with {@linkcode INPUT_SUFFIX}.
 */
export function componentSchemas(routes: readonly Route[]): { schemas: Json; nameOfInput: (id: string) => string } {
  const sent = generate("input");
  const received = generate("output");
  const isSent = reachable(
    routes.flatMap((route) => [route.query, route.params, route.bodyShape ?? route.body]),
    "input",
    sent,
  );
  const isReceived = reachable(
    routes.flatMap((route) => [route, ...route.watch === undefined ? [] : [route.watch]])
      .map(({ response }) => "schema" in response ? response.schema : undefined),
    "output",
    received,
  );
  for (const id of ["ErrorBody", "StreamLine"]) isReceived.add(id);
  const twofold = new Set<string>();
  for (let before = -1; before !== twofold.size;) {
    before = twofold.size;
    for (const id of isSent) {
      if (!isReceived.has(id)) continue;
      if (comparable(sent[id]!) !== comparable(received[id]!) || referencesOf(sent[id]!).some((r) => twofold.has(r))) {
        twofold.add(id);
      }
    }
  }
  const nameOfInput = (id: string) => twofold.has(id) ? id + INPUT_SUFFIX : id;
  const schemas: Array<[string, unknown]> = [
    ...[...isReceived].map((id): [string, unknown] => [id, received[id]]),
    ...[...isSent].filter((id) => twofold.has(id) || !isReceived.has(id)).map((id): [string, unknown] => [
      nameOfInput(id),
      JSON.parse(
        JSON.stringify(sent[id]).replaceAll(
          /(#\/components\/schemas\/)(\w+)"/g,
          (_, start: string, name: string) => `${start}${nameOfInput(name)}"`,
        ),
      ),
    ]),
  ];
  return { schemas: Object.fromEntries(schemas.sort(([a], [b]) => a < b ? -1 : 1)), nameOfInput };
}

function generate(io: "input" | "output"): Record<string, Json> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, { io, uri: componentUri, unrepresentable: "any" });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      const { $schema: _, $id: __, id: ___, ...rest } = schema as Json;
      return [id, rest];
    }),
  );
}

function reachable(
  roots: readonly (z.ZodType | undefined)[],
  io: "input" | "output",
  all: Record<string, Json>,
): Set<string> {
  const found = new Set<string>();
  const visit = (id: string) => {
    if (found.has(id)) return;
    found.add(id);
    referencesOf(all[id]!).forEach(visit);
  };
  for (const root of roots) {
    if (root === undefined) continue;
    const id = root.meta()?.id;
    if (id === undefined) referencesOf(toJsonSchema(root, io)).forEach(visit);
    else visit(id);
  }
  return found;
}

function referencesOf(schema: Json): string[] {
  return [...JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]!);
}

/** `additionalProperties: false` of an answer is zod's way of saying what it strips; it does not make a second form. */
function comparable(schema: Json): string {
  return JSON.stringify(schema).replaceAll(',"additionalProperties":false', "");
}
