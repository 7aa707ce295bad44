/** Image references: `[host[:port]/]path[:tag][@digest]`. Nothing is added but the tag `latest`. */
import { LaminaError } from "./errors.ts";
import { type Digest, isDigest } from "./ids.ts";

/** A parsed reference. Exactly one of `tag` and `digest` is set, or both. */
export interface ImageReference {
  /** Everything before the tag, e.g. `team/web`. */
  readonly repository: string;
  /** `latest` where neither tag nor digest was given. */
  readonly tag?: string;
  readonly digest?: Digest;
}

const hostPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Parses a reference.
 *
 * @throws `INVALID_ARGUMENT` that says which part is wrong.
 */
export function parseImageReference(text: string): ImageReference {
  const refuse = (why: string): never => {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid image reference ${JSON.stringify(text.slice(0, 80))}: ${why}`);
  };
  if (text.length === 0 || text.length > 512) refuse("it must have 1 to 512 characters");
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) refuse('after "@" comes sha256: and 64 lower-case hexadecimal digits');
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const repository = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : digest === undefined ? "latest" : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) refuse("a tag has up to 128 letters, digits and _ . -");
  const parts = repository.split("/");
  const path = parts.length > 1 && isHost(parts[0]!) ? parts.slice(1) : parts;
  for (const part of path) {
    if (!componentPattern.test(part)) {
      refuse("names are lower-case letters and digits, separated by single . or _, __, or dashes");
    }
  }
  return { repository, tag, digest: digest as Digest | undefined };
}

/** The text form; parsing it gives an equal reference. */
export function formatImageReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return `${reference.repository}${tag}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}

function isHost(part: string): boolean {
  return (part.includes(".") || part.includes(":") || part === "localhost") && hostPattern.test(part);
}
