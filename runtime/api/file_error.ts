/** Failures of Deno's own file operations. */
import { type ErrorCode, LaminaError, messageOf } from "../core/errors.ts";

/**
 * A failed file operation as Lamina's own error.
 *
 * @param attempted `Cannot write to /x`; the cause's words follow.
 */
export function fileError(error: unknown, attempted: string): LaminaError {
  if (error instanceof LaminaError) return error;
  return new LaminaError(codeOf(error), `${attempted}: ${wordsOf(error)}`, { cause: error });
}

/** `No such file or directory (os error 2): open '/x'` without the number and the call: what was attempted is known. */
function wordsOf(error: unknown): string {
  const [, words] = /^([A-Z][^(]*) \(os error \d+\)/.exec(messageOf(error)) ?? [];
  return words === undefined ? messageOf(error) : `${words[0]!.toLowerCase()}${words.slice(1)}`;
}

function codeOf(error: unknown): ErrorCode {
  const { errors } = Deno;
  if (error instanceof errors.NotFound) return "NOT_FOUND";
  if (error instanceof errors.PermissionDenied || error instanceof errors.NotCapable) return "PERMISSION_DENIED";
  if (error instanceof errors.AlreadyExists) return "ALREADY_EXISTS";
  if (error instanceof errors.NotADirectory || error instanceof errors.IsADirectory) return "INVALID_ARGUMENT";
  // Deno has no classes for these.
  const errno = Number(/os error (\d+)/.exec(messageOf(error))?.[1]);
  if (errno === 28 || errno === 122) return "RESOURCE_EXHAUSTED";
  if (errno === 30) return "UNAVAILABLE";
  return "INTERNAL";
}
