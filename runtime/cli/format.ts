/**
 * `--format` of lists, in the form that Docker's users type: `{{.Name}}\t{{.Driver}}`. A field, a key of one
 * (`{{.Labels.tier}}` or `{{.Label "tier"}}`), `{{json .Field}}`; `json` alone is a line of JSON each, `table …` has
 * titles. Pure.
 */
import { printable } from "./human.ts";
import { UsageError } from "./parse.ts";
import { type Column, tableLines } from "./table.ts";

/** What a list can show of its rows. */
export interface Listing<T> {
  /** Of the table: each is a field, `SIZE LIMIT` as `.SizeLimit`. */
  readonly columns: readonly Column<T>[];
  /** Further fields, by the names that Docker gives them. */
  readonly aliases?: readonly Column<T>[];
  /** Further fields: keys of a row, `created_at` as `.CreatedAt`. */
  readonly keys: readonly (keyof T & string)[];
}

/** A part of a template: what it says of a row, and of the titles. */
interface Part<T> {
  readonly title: string;
  readonly text: (row: T) => string;
}

/**
 * Reads a template.
 *
 * @returns what makes lines of rows.
 * @throws {UsageError} for a field that there is not (naming those that there are), and for what is no field.
 */
export function rowFormat<T extends object>(template: string, listing: Listing<T>): (rows: readonly T[]) => string[] {
  if (template === "json") return (rows) => rows.map((row) => JSON.stringify(row));
  const [, titled, text = ""] = /^(table\s+)?(.*)$/s.exec(template)!;
  const plain = text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  if (titled === undefined) {
    const parts = partsOf(plain, listing);
    return (rows) => rows.map((row) => parts.map((part) => part.text(row)).join(""));
  }
  const columns = plain.split("\t").map((cell) => partsOf(cell, listing)).map((parts): Column<T> => ({
    title: parts.map(({ title }) => title).join(""),
    value: (row) => parts.map((part) => part.text(row)).join(""),
  }));
  return (rows) => tableLines(columns, rows);
}

function partsOf<T extends object>(text: string, listing: Listing<T>): Part<T>[] {
  const parts: Part<T>[] = [];
  let at = 0;
  for (const { 0: whole, 1: inside, index } of text.matchAll(/\{\{(.*?)\}\}/gs)) {
    if (index > at) parts.push(literal(text.slice(at, index)));
    parts.push(partOf(inside!.trim(), listing));
    at = index + whole.length;
  }
  const rest = text.slice(at);
  if (rest.includes("{{")) throw new UsageError(`--format has a {{ without its }}: ${JSON.stringify(rest)}`);
  if (rest !== "") parts.push(literal(rest));
  return parts;
}

function literal<T>(text: string): Part<T> {
  return { title: text, text: () => text };
}

function partOf<T extends object>(inside: string, listing: Listing<T>): Part<T> {
  const match = /^(json\s+)?\.([A-Za-z_][A-Za-z_0-9]*)?((?:\.[^\s.]+)*)(?:\s+"([^"]*)")?$/.exec(inside);
  if (match === null) {
    throw new UsageError(
      `--format does not know {{${inside}}}`,
      'it takes {{.Field}}, {{.Field.key}}, {{.Label "key"}} and {{json .Field}}',
    );
  }
  const [, json, field, path, label] = match;
  const isLabel = label !== undefined && field?.toLowerCase() === "label";
  const isRow = field === undefined && json !== undefined && path === "";
  if (label !== undefined && !isLabel || field === undefined && !isRow) throw unknown(inside, listing);
  const name = isLabel ? "labels" : field;
  const found = name === undefined
    ? { title: "", value: (row: T): unknown => row }
    : fieldOf(name, listing, json !== undefined || path !== "");
  if (found === undefined) throw unknown(`.${field}`, listing);
  const keys = isLabel ? [label!] : path!.split(".").slice(1);
  const valueOf = (row: T) => keys.reduce((value, key) => memberOf(value, key), found.value(row));
  return {
    title: isLabel ? label!.toUpperCase() : [found.title, ...keys.map((key) => key.toUpperCase())].join(" "),
    text: (row) => printable(json === undefined ? shown(valueOf(row)) : JSON.stringify(valueOf(row)) ?? "null"),
  };
}

/** Whatever the case of its letters: Docker's `.ID` and Go's `.Id` are one. `raw`: for a program, not for people. */
function fieldOf<T extends object>(name: string, { columns, aliases = [], keys }: Listing<T>, raw: boolean) {
  const is = (other: string) => other.replaceAll(/[_ ]/g, "").toLowerCase() === name.replaceAll("_", "").toLowerCase();
  const key = keys.find(is);
  const column: { title: string; value: (row: T) => unknown } | undefined = [...columns, ...aliases]
    .find(({ title }) => is(title));
  const member = key && { title: key.replaceAll("_", " ").toUpperCase(), value: (row: T): unknown => row[key] };
  return raw ? member ?? column : column ?? member;
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

/** Lists with commas, maps as `k=v,…`, as Docker shows them. */
function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) {
    return value.map((item) => typeof item === "object" ? JSON.stringify(item) : item).join(",");
  }
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([key, item]) => `${key}=${shown(item)}`).join(",");
}

function unknown<T>(what: string, { columns, aliases = [], keys }: Listing<T>): UsageError {
  const pascal = (words: string) =>
    words.toLowerCase().replaceAll(/(?:^|[_ ])(\w)/g, (_, first) => first.toUpperCase()).replace(/^Id$/, "ID");
  const names = new Set([...columns, ...aliases].map(({ title }) => pascal(title)));
  for (const key of keys) if (![...names].some((name) => name === pascal(key))) names.add(pascal(key));
  return new UsageError(
    `--format does not know ${what}`,
    `the fields are ${[...names].map((n) => `.${n}`).join(", ")}`,
  );
}
