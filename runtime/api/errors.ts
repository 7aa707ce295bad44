/** The one place that maps Lamina's error codes to HTTP. */
import type * as z from "zod";
import { type ErrorCode, type ErrorDetails, LaminaError, toLaminaError } from "../core/errors.ts";

/**
 * Status of each code.
 *
 * `UNSUPPORTED` is 501: the request is understood, this host or driver cannot do it. `DATA_LOSS` is 422: the bytes given
 * or stored are not what their digest says. `RESOURCE_EXHAUSTED` is 507: a disk, quota or limit. `CANCELLED` is 499, as
 * proxies log it: nobody is there to read it.
 */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  CONFLICT: 409,
  DATA_LOSS: 422,
  CANCELLED: 499,
  INTERNAL: 500,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
  RESOURCE_EXHAUSTED: 507,
};

/** A fault of the HTTP request itself, whose status says more than its code (405, 413, 415). */
export class HttpError extends LaminaError {
  constructor(
    readonly status: number,
    code: ErrorCode,
    message: string,
    options: { details?: ErrorDetails; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.headers = options.headers ?? {};
  }
  /** Sent with the answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The answer to a failed call: the closed shape `{"code","message","details"}`. */
export function errorResponse(error: unknown, attempted: string): Response {
  const failure = toLaminaError(error, attempted);
  const status = failure instanceof HttpError ? failure.status : HTTP_STATUS[failure.code];
  const headers = failure instanceof HttpError ? failure.headers : {};
  return Response.json(failure.toJSON(), { status, headers: { ...headers, "cache-control": "no-store" } });
}

/**
 * What zod found wrong with a part of a request, as one error.
 *
 * @param part `path`, `query` or `body`: the start of each field's name in the message.
 */
export function invalidRequest(part: string, error: z.ZodError): LaminaError {
  const fields = flatten(error.issues).slice(0, 20).map(({ path, message }) => ({
    field: path.reduce<string>((text, key) => text + (typeof key === "number" ? `[${key}]` : `.${String(key)}`), part),
    message,
  }));
  const shown = fields.slice(0, 3).map(({ field, message }) => `${field}: ${message}`).join("; ");
  const more = fields.length > 3 ? `; and ${fields.length - 3} more` : "";
  return new LaminaError("INVALID_ARGUMENT", `Invalid request: ${shown}${more}`, {
    details: { fields: fields.map(({ field }) => field), problems: fields.map(({ message }) => message) },
  });
}

interface FlatIssue {
  readonly path: PropertyKey[];
  readonly message: string;
}

/** Issues inside a union are worth more than "invalid input": those of its closest option are shown. */
function flatten(issues: readonly z.core.$ZodIssue[], prefix: PropertyKey[] = []): FlatIssue[] {
  return issues.flatMap((issue): FlatIssue[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], message: "is not a known field" }));
    }
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ path, message: issue.message }];
    const closest = issue.errors.reduce((best, option) => option.length < best.length ? option : best);
    return flatten(closest, path);
  });
}
