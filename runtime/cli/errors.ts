/** The one place that maps Lamina's error codes to exit codes and to what a person reads. */
import { type ErrorCode, toLaminaError } from "../core/errors.ts";
import { UsageError } from "./parse.ts";

/** 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unavailable. */
export const EXIT_CODE: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 2,
  NOT_FOUND: 3,
  ALREADY_EXISTS: 4,
  CONFLICT: 4,
  UNAVAILABLE: 5,
  PERMISSION_DENIED: 1,
  UNSUPPORTED: 1,
  RESOURCE_EXHAUSTED: 1,
  DATA_LOSS: 1,
  DEADLINE_EXCEEDED: 1,
  CANCELLED: 1,
  INTERNAL: 1,
};

/** The exit code for anything thrown. */
export function exitCodeOf(error: unknown): number {
  return EXIT_CODE[toLaminaError(error, "lamina").code];
}

const HINTS: Partial<Readonly<Record<ErrorCode, string>>> = {
  PERMISSION_DENIED: "run it as root, or as the user who runs the daemon",
  INTERNAL: "this looks like a defect of Lamina: please report it with the output of --log-level debug",
  DATA_LOSS: "if the source is good, run lamina check --deep",
};

/** What a person reads on standard error: `lamina: message`, and a hint where one helps. */
export function errorLines(error: unknown): string[] {
  const failure = toLaminaError(error, "lamina");
  const hint = failure instanceof UsageError ? failure.hint : HINTS[failure.code];
  return [`lamina: ${failure.message}`, ...(hint === undefined ? [] : [`  hint: ${hint}`])];
}
