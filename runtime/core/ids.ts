/** Branded identifiers and the grammars that make them. Parse at the edge, pass the brand inside. */
import * as z from "zod";
import { LaminaError } from "./errors.ts";

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** `sha256:` and 64 lower-case hexadecimal digits. */
export const Digest: z.core.$ZodBranded<z.ZodString, "Digest"> = z.string().regex(
  digestPattern,
  'a digest is "sha256:" and 64 lower-case hexadecimal digits',
).brand("Digest");
/** See the schema of the same name. */
export type Digest = z.infer<typeof Digest>;

/** Key or name of a snapshot: 1 to 512 printable characters; a chainID for layers, `container/ID` for RW layers. */
export const SnapshotKey: z.core.$ZodBranded<z.ZodString, "SnapshotKey"> = z.string().min(1).max(512).regex(
  // deno-lint-ignore no-control-regex
  /^[^\x00-\x20\x7f]+$/,
  "a snapshot key has no spaces or control characters",
).brand("SnapshotKey");
/** See the schema of the same name. */
export type SnapshotKey = z.infer<typeof SnapshotKey>;

/** 64 lower-case hexadecimal digits. */
export const ContainerId: z.core.$ZodBranded<z.ZodString, "ContainerId"> = z.string().regex(/^[0-9a-f]{64}$/).brand(
  "ContainerId",
);
/** See the schema of the same name. */
export type ContainerId = z.infer<typeof ContainerId>;

/** Name of a container: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 128 characters. */
export const ContainerName: z.core.$ZodBranded<z.ZodString, "ContainerName"> = z.string().max(
  128,
  "a container name has at most 128 characters",
).regex(
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/,
  "a container name starts with a letter or digit and goes on with letters, digits, _ . -",
).brand("ContainerName");
/** See the schema of the same name. */
export type ContainerName = z.infer<typeof ContainerName>;

/** Name of a volume: as Docker's, at least two and at most 255 characters. */
export const VolumeName: z.core.$ZodBranded<z.ZodString, "VolumeName"> = z.string().max(
  255,
  "a volume name has at most 255 characters",
).regex(
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/,
  "a volume name has two or more characters, starts with a letter or digit and goes on with letters, digits, _ . -",
).brand("VolumeName");
/** See the schema of the same name. */
export type VolumeName = z.infer<typeof VolumeName>;

/**
 * `value` as a branded identifier.
 *
 * @param schema One of the schemas of this file.
 * @param value What the caller gave.
 * @param what What it should be, for the message, e.g. `volume name`.
 * @throws `INVALID_ARGUMENT` naming the value (cut at 80 characters) and the rule.
 */
export function parseId<S extends z.ZodType>(schema: S, value: unknown, what: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const shown = JSON.stringify(String(value).slice(0, 80));
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid ${what} ${shown}: ${parsed.error.issues[0]?.message ?? "refused"}`,
  );
}

/** Whether `text` is a well-formed digest. */
export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}
