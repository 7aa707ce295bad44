/** Turns a request into the validated values that a handler takes. */
import type * as z from "zod";
import { abortable } from "../core/keyed_lock.ts";
import type { ByteStream } from "../services.ts";
import { HttpError, invalidRequest } from "./errors.ts";
import type { Route } from "./route.ts";

/** Most bytes of a JSON body, unless its route says otherwise. */
export const MAX_JSON_BYTES = 1 << 20;

const archiveTypes = /^application\/(x-tar|octet-stream|gzip|x-gzip|zstd|x-zstd|vnd\.oci\.[a-z0-9.+-]+)$/;

/** The query, validated. Parameters whose schema is a list may come more than once, others may not. */
export function parseQuery(route: Route, query: URLSearchParams): Record<string, unknown> {
  const shape: Record<string, z.ZodType> = route.query?.shape ?? {};
  const values: Record<string, unknown> = {};
  for (const key of new Set(query.keys())) {
    const all = query.getAll(key);
    if (Object.hasOwn(shape, key) && isList(shape[key]!)) values[key] = all;
    else if (all.length === 1) values[key] = all[0];
    else throw new HttpError(400, "INVALID_ARGUMENT", `Invalid request: query.${key} was given ${all.length} times`);
  }
  if (route.query === undefined) {
    const [unknown] = Object.keys(values);
    if (unknown === undefined) return {};
    throw new HttpError(400, "INVALID_ARGUMENT", `Invalid request: query.${unknown}: is not a known field`, {
      details: { fields: [`query.${unknown}`] },
    });
  }
  return parseWith(route.query, "query", values) as Record<string, unknown>;
}

/** The path's parts, validated. */
export function parseParams(route: Route, params: Readonly<Record<string, string>>): unknown {
  return route.params === undefined ? {} : parseWith(route.params, "path", params);
}

/**
 * The JSON body, validated; an empty body counts as `{}`.
 *
 * @throws 415 for another content type, 413 over the route's limit, 400 for malformed JSON or a wrong field.
 */
export async function parseJsonBody(
  route: Pick<Route, "body" | "bodyLimit_bytes">,
  request: Request,
  signal: AbortSignal,
): Promise<unknown> {
  if (route.body === undefined) return {};
  const text = await readText(request, route.bodyLimit_bytes ?? MAX_JSON_BYTES, signal);
  if (text === "") return parseWith(route.body, "body", {});
  requireType(request, /^application\/json$/, "application/json");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HttpError(
      400,
      "INVALID_ARGUMENT",
      `Invalid request: the body is not JSON (${(error as Error).message})`,
      {
        cause: error,
      },
    );
  }
  return parseWith(route.body, "body", value);
}

/**
 * The archive of the body, as it comes.
 *
 * @throws 415 for a content type that is no archive, 400 when it is required and absent.
 */
export function archiveBody(route: Route, request: Request): ByteStream | undefined {
  if (route.archive === undefined) return undefined;
  // Deno gives an empty stream where nothing was sent: for "Content-Length: 0", and for a POST that says nothing of a body.
  const saysNothing = !["content-type", "content-length", "transfer-encoding"].some((name) =>
    request.headers.has(name)
  );
  const empty = request.body === null || request.headers.get("content-length") === "0" || saysNothing;
  if (empty) {
    if (route.archive === "optional") return undefined;
    throw new HttpError(400, "INVALID_ARGUMENT", "Invalid request: the body must be a tar archive");
  }
  requireType(request, archiveTypes, "application/x-tar");
  return request.body!;
}

function requireType(request: Request, accepted: RegExp, wanted: string): void {
  const type = (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  if (accepted.test(type)) return;
  throw new HttpError(
    415,
    "INVALID_ARGUMENT",
    `Invalid request: the body's content type is ${type === "" ? "missing" : type.slice(0, 80)}. Send ${wanted}`,
    { headers: { accept: wanted } },
  );
}

export async function readText(request: Request, limit_bytes: number, signal: AbortSignal): Promise<string> {
  const tooLarge = () =>
    new HttpError(413, "RESOURCE_EXHAUSTED", `Invalid request: the body has more than ${limit_bytes} bytes`, {
      details: { limit_bytes },
    });
  if (request.body === null) return "";
  const length = request.headers.get("content-length");
  if (Number(length ?? "0") > limit_bytes) throw tooLarge();
  // What says how long it is cannot be longer: it is had in one piece.
  const all = length === null
    ? await readChunks(request.body, limit_bytes, tooLarge, signal)
    : await abortable(request.bytes(), signal);
  try {
    return utf8.decode(all);
  } catch (error) {
    throw new HttpError(400, "INVALID_ARGUMENT", "Invalid request: the body is not UTF-8", { cause: error });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

async function readChunks(
  body: ReadableStream<Uint8Array>,
  limit_bytes: number,
  tooLarge: () => HttpError,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size_bytes = 0;
  try {
    while (true) {
      const { done, value } = await abortable(reader.read(), signal);
      if (done) break;
      size_bytes += value.length;
      if (size_bytes > limit_bytes) throw tooLarge();
      chunks.push(value);
    }
  } finally {
    // Rejects only when the connection broke, which the caller learns from the read itself.
    reader.cancel().catch(() => {});
  }
  const all = new Uint8Array(size_bytes);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}

function parseWith(schema: z.ZodType, part: string, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(part, parsed.error);
}

/** Whether a query parameter's schema is a list below its default or optional wrapper. */
export function isList(schema: z.ZodType): boolean {
  const def = schema.def as { type: string; innerType?: z.ZodType };
  return def.type === "array" || (def.innerType !== undefined && isList(def.innerType));
}
