/** Errors of tree work: what was attempted, on which path, and what to do. */
import { type ByteString, byteStringFromText, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";

/**
 * `error` as a {@linkcode LaminaError} that names the path. Lamina's own errors pass unchanged.
 *
 * @param attempted E.g. `Cannot copy`.
 * @param path Inside the tree, without leading slash.
 */
export function treeError(attempted: string, path: ByteString, error: unknown): LaminaError {
  const shown = shownPath(path);
  return hostError(error, `${attempted} "${shown}"`, { path: shown });
}

/** The error for a tree that somebody else changes while it is worked on. */
export function changedMeanwhile(attempted: string, path: ByteString, found: string): LaminaError {
  const shown = shownPath(path);
  return new LaminaError(
    "CONFLICT",
    `${attempted} "${shown}": ${found} meanwhile. Stop what writes to the tree and try again`,
    { details: { path: shown } },
  );
}

/** A path of the tree for messages: absolute inside it, long ones shortened in the middle. */
export function shownPath(path: ByteString): string {
  const text = `/${displayName(path)}`;
  return text.length <= 300 ? text : `${text.slice(0, 140)}...${text.slice(-140)}`;
}

/** Byte string of an absolute path of ours. */
export function absolutePath(path: string): ByteString {
  if (!path.startsWith("/")) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot use path "${path}": it is not absolute. Pass an absolute path`);
  }
  return byteStringFromText(path);
}

/** `name` below `directory`, both inside the tree. */
export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return (directory === "" ? name : `${directory}/${name}`) as ByteString;
}
