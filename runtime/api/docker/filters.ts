/** Filters of the Docker Engine API. Pure. */
import { LaminaError } from "../../core/errors.ts";

/** Names of filters, each with its values; any of them may fit unless it is `label`, where all must. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** Most values of one call. */
const MAX_VALUES = 1000;

/**
 * The `filters` parameter in both forms that Docker has had: `{"label":["a=b"]}` and `{"label":{"a=b":true}}`.
 *
 * @param known Names that the call knows.
 * @throws `INVALID_ARGUMENT` for anything else, and for names that the call does not know.
 */
export function parseFilters(text: string | undefined, known: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  if (text === undefined || text === "") return filters;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", `invalid filters: they are not JSON (${(error as Error).message})`, {
      cause: error,
    });
  }
  // Go's clients send "null" for none.
  if (value === null) return filters;
  if (typeof value !== "object" || Array.isArray(value)) throw wrongForm("query.filters");
  for (const [name, given] of Object.entries(value)) {
    if (!known.includes(name)) {
      const shown = JSON.stringify(name.slice(0, 80));
      throw new LaminaError("INVALID_ARGUMENT", `invalid filter ${shown}: the known ones are ${known.join(", ")}`);
    }
    const values = valuesOf(given, `query.filters.${name}`);
    if (values.length > MAX_VALUES) {
      throw new LaminaError("INVALID_ARGUMENT", `invalid filter "${name}": more than ${MAX_VALUES} values`);
    }
    if (values.length > 0) filters.set(name, values);
  }
  return filters;
}

/** Whether one of the values of a filter fits; true where the filter was not given. */
export function anyFits(filters: Filters, name: string, fits: (value: string) => boolean): boolean {
  return filters.get(name)?.some(fits) ?? true;
}

/** The one value of a switch; `undefined` where it was not given. */
export function switchOf(filters: Filters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  const on = values.map((value) => {
    if (["1", "true", "True", "TRUE", "t", "T"].includes(value)) return true;
    if (["0", "false", "False", "FALSE", "f", "F"].includes(value)) return false;
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `invalid filter '${name}=${value.slice(0, 80)}': it is true or false`,
    );
  });
  if (on.every((value) => value === on[0])) return on[0];
  throw new LaminaError("INVALID_ARGUMENT", `invalid filter '${name}': it is true or false, not both`);
}

/** Whether labels have all of `label` and none of `label!`; each is `key` or `key=value`. */
export function labelsFit(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  const has = (wanted: string) => {
    const equals = wanted.indexOf("=");
    if (equals < 0) return Object.hasOwn(labels, wanted);
    const key = wanted.slice(0, equals);
    return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
  };
  return (filters.get("label") ?? []).every(has) && !(filters.get("label!") ?? []).some(has);
}

/** Milliseconds since the epoch of an `until` filter: a time, seconds since the epoch, or how long ago (`24h`, `1h30m`). */
export function untilOf(filters: Filters, now_ms: number): number | undefined {
  const [value, second] = filters.get("until") ?? [];
  if (value === undefined) return undefined;
  if (second !== undefined) throw new LaminaError("INVALID_ARGUMENT", "invalid filter 'until': it is given once");
  if (/^\d{1,12}(\.\d{1,9})?$/.test(value)) return Number(value) * 1000;
  const ago_ms = goDuration_ms(value);
  if (ago_ms !== undefined) return now_ms - ago_ms;
  const time = Date.parse(value);
  if (!Number.isNaN(time)) return time;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `invalid filter 'until=${value.slice(0, 80)}': it is a time, seconds since the epoch, or how long ago, e.g. 24h`,
  );
}

/**
 * A regular expression of a filter. Docker's are Go's; what both know is enough for names.
 *
 * @throws `INVALID_ARGUMENT`.
 */
export function patternOf(filter: string, value: string): RegExp {
  try {
    return new RegExp(value);
  } catch (error) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `invalid filter '${filter}=${value.slice(0, 80)}': ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Whether a name fits a pattern of Go's path.Match: `*` and `?` within one part of a path, `[a-z]`. */
export function globFits(pattern: string, name: string): boolean {
  const source = pattern.replace(/\[\^?[^\]\\]+\]|\\.|[*?]|[^\w]/g, (part) => {
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.startsWith("[") && part.length > 2) return part;
    return `\\${part.at(-1)}`;
  });
  try {
    return new RegExp(`^${source}$`).test(name);
  } catch {
    // A range such as [z-a] fits nothing.
    return false;
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

function goDuration_ms(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * UNITS_MS[unit!]!,
    0,
  );
}

function valuesOf(given: unknown, path: string): string[] {
  if (Array.isArray(given)) {
    if (!given.every((item) => typeof item === "string")) throw wrongForm(path);
    return given;
  }
  if (typeof given !== "object" || given === null) throw wrongForm(path);
  const entries = Object.entries(given);
  if (!entries.every(([, on]) => typeof on === "boolean")) throw wrongForm(path);
  return entries.filter(([, on]) => on).map(([value]) => value);
}

function wrongForm(path: string): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `invalid filters: ${path} must be {"NAME":["VALUE"]} or {"NAME":{"VALUE":true}}`,
  );
}
