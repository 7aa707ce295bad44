/** Specs from outside become trusted values here. */
import * as z from "zod";
import { LaminaError } from "../errors.ts";

/**
 * `value` as what `schema` describes, with its defaults filled in.
 *
 * @param what What it should be, for the message, e.g. `container`.
 * @throws `INVALID_ARGUMENT` naming each wrong field by its path.
 */
export function parseSpec<S extends z.ZodType>(schema: S, value: unknown, what: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const shown = issues.slice(0, 5).map((issue) => `${issue.path.join(".") || "it"}: ${issue.message}`);
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid ${what}: ${shown.join("; ")}${issues.length > 5 ? `; and ${issues.length - 5} more` : ""}`,
    { details: { paths: issues.slice(0, 20).map((issue) => issue.path.join(".")) } },
  );
}
