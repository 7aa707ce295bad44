/** Manifests: the objects of YAML and JSON files, and where each stands. */
import { LineCounter, parseAllDocuments, type Tags } from "yaml";
import { LaminaError, messageOf } from "../core/errors.ts";

/** Most bytes of one file. */
export const MAX_MANIFEST_BYTES = 8 << 20;
/** Most objects of one file. */
const MAX_OBJECTS = 10_000;
/** How often aliases may repeat what they stand for, in all: more is a bomb. */
const MAX_ALIASES = 1000;

/** One object of a manifest. */
export interface ManifestObject {
  readonly value: Record<string, unknown>;
  /** `pod.yaml, document 2 (line 14)`, for messages. */
  readonly place: string;
}

/**
 * The objects of a text: YAML with any number of documents, or JSON; the items of a `List` each for itself.
 *
 * YAML is read as kubectl reads it (1.1: `0644` is octal, `yes` is true), but for times and numbers in base 60.
 *
 * @param name Of the file, for messages.
 * @throws `INVALID_ARGUMENT` with the document and its line.
 */
export function parseManifest(text: string, name: string): ManifestObject[] {
  if (text.length > MAX_MANIFEST_BYTES) throw tooLarge(name);
  const objects: ManifestObject[] = [];
  let number = 0;
  for (const { value, line, empty } of documentsOf(text, name)) {
    number++;
    if (empty) continue;
    const place = `${name}, document ${number} (line ${line})`;
    for (const [i, item] of itemsOf(value, place).entries()) {
      const where = item === value ? place : `${place}, item ${i + 1}`;
      if (!isMapping(item)) {
        throw new LaminaError("INVALID_ARGUMENT", `${where}: an object is a mapping, this is ${nameOf(item)}`);
      }
      objects.push({ value: item, place: where });
      if (objects.length > MAX_OBJECTS) {
        throw new LaminaError("INVALID_ARGUMENT", `${name} has more than ${MAX_OBJECTS} objects. Split it`);
      }
    }
  }
  return objects;
}

/** The refusal of a file that is too large to be read. */
export function tooLarge(name: string): LaminaError {
  return new LaminaError("INVALID_ARGUMENT", `${name} has more than ${MAX_MANIFEST_BYTES >> 20} MiB. Split it`);
}

interface Document {
  readonly value: unknown;
  readonly line: number;
  readonly empty: boolean;
}

function documentsOf(text: string, name: string): Document[] {
  const lines = new LineCounter();
  let documents: ReturnType<typeof parseAllDocuments>;
  try {
    documents = parseAllDocuments(text, {
      version: "1.1",
      customTags: withoutTimes,
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: true,
      stringKeys: true,
      logLevel: "silent",
    });
  } catch (error) {
    throw unreadable(name, error);
  }
  if (!Array.isArray(documents)) return [];
  return documents.map((document, i) => {
    // The position of a document without a body is its end.
    const line = lines.linePos(document.contents?.range?.[0] ?? document.range?.[0] ?? 0).line;
    const [problem] = document.errors;
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `${name}, document ${i + 1}, line ${line}, column ${col}: ${problem.message}`,
        { details: { document: i + 1, line } },
      );
    }
    const empty = document.contents === null || (document.contents as { value?: unknown }).value === null;
    try {
      return { value: empty ? null : document.toJS({ maxAliasCount: MAX_ALIASES }), line, empty };
    } catch (error) {
      throw unreadable(`${name}, document ${i + 1} (line ${line})`, error);
    }
  });
}

/** Kubernetes reads `12:30:45` and `2026-01-31` as texts. */
function withoutTimes(tags: Tags): Tags {
  return tags.filter((tag) =>
    typeof tag === "string" ||
    !(tag.tag === "tag:yaml.org,2002:timestamp" || ("format" in tag && tag.format === "TIME"))
  );
}

function unreadable(place: string, error: unknown): LaminaError {
  const why = error instanceof RangeError ? "it is nested too deep" : messageOf(error);
  return new LaminaError("INVALID_ARGUMENT", `${place}: ${why}`, { cause: error });
}

/** The items of a `List`, or the value itself. */
function itemsOf(value: unknown, place: string): unknown[] {
  if (!isMapping(value) || value.kind !== "List") return [value];
  const items = value.items ?? [];
  if (!Array.isArray(items)) throw new LaminaError("INVALID_ARGUMENT", `${place}: items must be a list`);
  return items;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value === null) return "nothing";
  return typeof value === "string" ? "a text" : `a ${typeof value}`;
}
