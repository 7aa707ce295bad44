/** The OpenAPI 3.1 document, from the route table and its zod schemas. Pure. */
import * as z from "zod";
import { ERROR_CODES } from "../core/errors.ts";
import { ErrorBody, StreamLine } from "../core/specs/system.ts";
import { HTTP_STATUS } from "./errors.ts";
import { componentSchemas, componentUri, type Json, toJsonSchema } from "./openapi_components.ts";
import type { Route } from "./route.ts";
import { VERSION } from "./version.ts";

/** The document for these routes. */
export function openApiDocument(routes: readonly Route[]): Json {
  // Naming them here puts both into the registry even where no route was loaded that uses them.
  void ErrorBody;
  void StreamLine;
  const components = componentSchemas(routes);
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const item = paths[route.path] ??= {};
    item[route.method.toLowerCase()] = operationOf(route, components.nameOfInput);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Lamina",
      version: VERSION,
      description:
        "The storage half of a container engine, on a unix socket. In paths, a name is one segment: write the " +
        "slashes of an image reference as %2F.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "http://lamina", description: "Over the unix socket; the host name does not matter" }],
    tags: [...new Set(routes.map(tagOf))].map((name) => ({ name })),
    paths,
    components: { schemas: components.schemas },
  };
}

function operationOf(route: Route, nameOfInput: (id: string) => string): Json {
  const parameters = [
    ...parametersOf("path", route.params),
    ...parametersOf("query", route.query),
  ];
  return {
    operationId: route.id,
    tags: [tagOf(route)],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBodyOf(route, nameOfInput),
    responses: {
      ...successOf(route),
      default: {
        description: `Failed. ${ERROR_CODES.map((code) => `${code} ${HTTP_STATUS[code]}`).join(", ")}`,
        content: { "application/json": { schema: reference("ErrorBody") } },
      },
    },
  };
}

function parametersOf(place: "path" | "query", schema: z.ZodObject | undefined): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...json } = toJsonSchema(field as z.ZodType, "input");
    const required = place === "path" || !(field as z.ZodType).safeParse(undefined).success;
    return { name, in: place, required, ...(description === undefined ? {} : { description }), schema: json };
  });
}

function requestBodyOf(route: Route, nameOfInput: (id: string) => string): Json {
  if (route.archive !== undefined) {
    return {
      requestBody: {
        required: route.archive === "required",
        content: { "application/x-tar": {}, "application/octet-stream": {} },
      },
    };
  }
  if (route.body === undefined) return {};
  const required = !route.body.safeParse({}).success;
  const shape = route.bodyShape ?? route.body;
  const id = idOf(shape);
  const schema = id === undefined ? toJsonSchema(shape, "input") : reference(nameOfInput(id));
  return { requestBody: { required, content: { "application/json": { schema } } } };
}

function successOf(route: Route): Json {
  const { response } = route;
  switch (response.kind) {
    case "json": {
      const content: Json = { "application/json": { schema: outputSchema(response.schema) } };
      if (route.progress) content["application/x-ndjson"] = { schema: reference("StreamLine") };
      if (route.watch?.response.kind === "ndjson") {
        content["application/x-ndjson"] = { schema: outputSchema(route.watch.response.schema) };
      }
      return { [response.status ?? 200]: { description: response.describe ?? "Done", content } };
    }
    case "empty":
      return { 204: { description: "Done" } };
    case "text":
      return { 200: { description: "Text", content: { [response.type.split(";")[0]!]: {} } } };
    case "html":
      return { 200: { description: "A page", content: { "text/html": {} } } };
    case "tar":
      return { 200: { description: response.describe, content: { "application/x-tar": {} } } };
    case "ndjson": {
      const content = { "application/x-ndjson": { schema: outputSchema(response.schema) } };
      return { 200: { description: "One JSON object a line", content } };
    }
  }
}

/** A schema by its name where it or its elements have one. */
function outputSchema(schema: z.ZodType): Json {
  const id = idOf(schema);
  if (id !== undefined) return reference(id);
  if (schema instanceof z.ZodArray) return { type: "array", items: outputSchema(schema.element as z.ZodType) };
  return toJsonSchema(schema, "output");
}

function idOf(schema: z.ZodType): string | undefined {
  return schema.meta()?.id;
}

function reference(id: string): Json {
  return { $ref: componentUri(id) };
}

function tagOf(route: Route): string {
  return route.id.split(".")[0]!;
}
