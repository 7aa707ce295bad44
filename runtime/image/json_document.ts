/** JSON from archives: bounded, checked by a schema, with errors that say where. */
import * as z from "zod";
import { LaminaError, messageOf } from "../core/errors.ts";

/** Largest index, manifest or config that is read. */
export const MAX_DOCUMENT_BYTES = 4 << 20;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * `bytes` as JSON of the form of `schema`.
 *
 * @param what What it is, for the message, e.g. `manifest sha256:…`.
 * @throws `INVALID_ARGUMENT` with the first three things that are wrong.
 */
export function parseDocument<S extends z.ZodType>(schema: S, bytes: Uint8Array, what: string): z.infer<S> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot read the ${what}: it is no JSON (${messageOf(error)})`, {
      cause: error,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join(".") || "top"}: ${issue.message}`);
  throw new LaminaError("INVALID_ARGUMENT", `Cannot use the ${what}: ${issues.join("; ").slice(0, 1000)}`);
}

/** An array that Go may write as `null`. */
export function goArray<S extends z.ZodType>(item: S, maximum: number): z.ZodType<z.infer<S>[]> {
  return z.array(item).max(maximum).nullish().transform((items) => items ?? []) as unknown as z.ZodType<z.infer<S>[]>;
}

/** A map that Go may write as `null`. */
export function goMap<S extends z.ZodType>(value: S): z.ZodType<Record<string, z.infer<S>>> {
  return z.record(z.string(), value).nullish().transform((map) => map ?? {}) as unknown as z.ZodType<
    Record<string, z.infer<S>>
  >;
}

/** A string that may be missing, `null` or empty: all three are `undefined`. */
export const optionalText: z.ZodType<string | undefined> = z.string().nullish().transform((text) =>
  text || undefined
) as unknown as z.ZodType<string | undefined>;
