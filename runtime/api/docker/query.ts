/** The query of a call of the dialect: what Docker's clients send, leniently where Docker is lenient. */
import * as z from "zod";
import { invalidRequest } from "../errors.ts";
import { isList } from "../request.ts";

/** A switch: everything but nothing, `0`, `no`, `false` and `none` is on, as in Docker. */
export const flag = z.string().optional().transform((text) =>
  text !== undefined && !["", "0", "no", "false", "none"].includes(text.trim().toLowerCase())
);

/** A text that may be left out; an empty one counts as left out. */
export const text = z.string().max(4096).optional().transform((value) => value === "" ? undefined : value);

/** May be given several times. */
export const texts = z.array(z.string().max(4096)).max(1000).default([]);

/** A whole number that may be left out. */
export const count = z.string().regex(/^-?\d{1,9}$/, "must be a whole number").optional().transform((digits) =>
  digits === undefined ? undefined : Number(digits)
);

/** Seconds since the epoch, with a fraction or without, as milliseconds. */
export const time_ms = z.string().regex(/^-?\d{1,12}(\.\d{1,9})?$/, "must be seconds since the epoch").or(z.literal(""))
  .optional().transform((seconds) => seconds === undefined || seconds === "" ? undefined : Number(seconds) * 1000);

/**
 * The query, validated. Unknown parameters are ignored, of several equal ones the first counts unless it is a list.
 *
 * @throws `INVALID_ARGUMENT` naming the parameter.
 */
export function parseDockerQuery(schema: z.ZodObject | undefined, query: URLSearchParams): unknown {
  if (schema === undefined) return {};
  const shape: Record<string, z.ZodType> = schema.shape;
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(shape)) {
    if (query.has(key)) values[key] = isList(shape[key]!) ? query.getAll(key) : query.get(key);
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw invalidRequest("query", parsed.error);
}
