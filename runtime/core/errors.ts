/**
 * The closed set of errors that leaves Lamina. HTTP status and exit code are mapped at the edges
 * (`runtime/api/errors.ts`, `runtime/cli/errors.ts`), never here.
 */

/** Every code an error of Lamina can carry. */
export const ERROR_CODES = [
  /** The request itself is wrong: a malformed name, an unknown field, a hostile archive. */
  "INVALID_ARGUMENT",
  /** The named object does not exist. */
  "NOT_FOUND",
  /** An object of that name exists already. */
  "ALREADY_EXISTS",
  /** The object's state forbids the call: it is in use, or another operation holds it. */
  "CONFLICT",
  /** The caller may not do this (no root, no capability, file permission). */
  "PERMISSION_DENIED",
  /** The host, file system or driver cannot do this at all. */
  "UNSUPPORTED",
  /** A disk, quota or configured limit is exhausted. */
  "RESOURCE_EXHAUSTED",
  /** Stored data differs from what its digest or row says. */
  "DATA_LOSS",
  /** The daemon, a plugin or the root's lock cannot be had now. */
  "UNAVAILABLE",
  /** The deadline passed. */
  "DEADLINE_EXCEEDED",
  /** The caller gave up. */
  "CANCELLED",
  /** A defect in Lamina or a failure of the host that has no better name. */
  "INTERNAL",
] as const;

/** One of {@linkcode ERROR_CODES}. */
export type ErrorCode = typeof ERROR_CODES[number];

/** Facts beside the message that a program may want (`path`, `limit`, `holder_pid`, …). Never secrets. */
export type ErrorDetails = Record<string, string | number | boolean | string[]>;

/**
 * The one error class of Lamina.
 *
 * The message says what was attempted, what was found and what to do, e.g.
 * `Cannot remove image "web:1": container "shop" uses it. Remove the container first or pass --force`.
 */
export class LaminaError extends Error {
  /** What kind of failure this is. */
  readonly code: ErrorCode;
  /** Machine-readable facts. */
  readonly details: ErrorDetails;

  /** See {@linkcode ERROR_CODES} for `code`; `cause` is what was thrown below. */
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LaminaError";
    this.code = code;
    this.details = options.details ?? {};
  }

  /** The shape that the native API sends. */
  toJSON(): { code: ErrorCode; message: string; details: ErrorDetails } {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** Whether `error` is a {@linkcode LaminaError}, optionally of one of `codes`. */
export function isLaminaError(error: unknown, ...codes: ErrorCode[]): error is LaminaError {
  return error instanceof LaminaError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The error unchanged when it is Lamina's own, otherwise wrapped: aborts become `CANCELLED` or
 * `DEADLINE_EXCEEDED`, the rest `INTERNAL` with the original as `cause`.
 */
export function toLaminaError(error: unknown, attempted: string): LaminaError {
  if (error instanceof LaminaError) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new LaminaError("DEADLINE_EXCEEDED", `${attempted}: the deadline passed`, { cause: error });
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    return new LaminaError("CANCELLED", `${attempted}: cancelled by the caller`, { cause: error });
  }
  return new LaminaError("INTERNAL", `${attempted}: ${messageOf(error)}`, { cause: error });
}
