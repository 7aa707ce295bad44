/** Turns the words of a command line into a command and its values. Pure. */
import { parseArgs } from "@std/cli/parse-args";
import { LaminaError } from "../core/errors.ts";
import type { ArgumentSpec, Command, FlagSpec, FlagTable } from "./command.ts";
import { GLOBAL_FLAGS, type GlobalFlags } from "./global_flags.ts";
import { nearest } from "./suggest.ts";

/** The command line does not follow the grammar: exit code 2. */
export class UsageError extends LaminaError {
  constructor(message: string, readonly hint?: string) {
    super("INVALID_ARGUMENT", message);
  }
}

/** What a command line asks for. */
export type Invocation =
  | {
    readonly kind: "run";
    readonly command: Command;
    readonly arguments: readonly string[];
    readonly flags: Readonly<Record<string, unknown>>;
    readonly globals: GlobalFlags;
  }
  | { readonly kind: "help"; readonly words: readonly string[] };

/**
 * Parses what follows `lamina`.
 *
 * @throws {UsageError} for an unknown command or flag (with the nearest known one), a missing or surplus value.
 */
export function parseCommandLine(table: readonly Command[], args: readonly string[]): Invocation {
  const { words, rest, stray } = splitWords(table, args);
  const command = table.find((row) => sameWords(row.words, words));
  if (command === undefined) {
    if (stray !== undefined) throw unknownCommand(table, words, stray);
    // A noun alone, or nothing at all: its flags must be good, then its help is the answer.
    parseFlags(words, GLOBAL_FLAGS, rest);
    return { kind: "help", words };
  }
  const flags: FlagTable = { ...GLOBAL_FLAGS, ...command.flags };
  const parsed = parseFlags(words, flags, rest);
  if (parsed.values.help) return { kind: "help", words };
  checkArguments(command, parsed.positional);
  const globals: Record<string, unknown> = {};
  for (const name of Object.keys(GLOBAL_FLAGS)) globals[name] = parsed.values[name];
  return {
    kind: "run",
    command,
    arguments: parsed.positional,
    flags: parsed.values,
    globals: globals as unknown as GlobalFlags,
  };
}

/**
 * The words that name a command or a noun, and everything else in its order. Global flags may stand before them.
 * `stray`: the word at which no command goes on.
 */
function splitWords(
  table: readonly Command[],
  args: readonly string[],
): { words: string[]; rest: string[]; stray?: string } {
  const words: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const complete = table.some((row) => sameWords(row.words, words));
    if (complete) return { words, rest: [...rest, ...args.slice(i)] };
    if (arg.startsWith("-") && arg !== "-") {
      rest.push(arg);
      const flag = GLOBAL_FLAGS[arg.slice(2) as keyof typeof GLOBAL_FLAGS];
      if (arg.startsWith("--") && flag?.kind === "text" && i + 1 < args.length) rest.push(args[++i]!);
      continue;
    }
    const longer = [...words, arg];
    if (!table.some((row) => sameWords(row.words.slice(0, longer.length), longer))) {
      return { words, rest, stray: arg };
    }
    words.push(arg);
  }
  return { words, rest };
}

function parseFlags(
  words: readonly string[],
  flags: FlagTable,
  args: readonly string[],
): { values: Record<string, unknown>; positional: string[] } {
  const names = Object.keys(flags);
  const named = (kind: FlagSpec["kind"]) => names.filter((name) => flags[name]!.kind === kind);
  const alias: Record<string, string> = {};
  for (const name of names) {
    const { short } = flags[name]!;
    if (short !== undefined) alias[name] = short;
  }
  const parsed = parseArgs(withSpaces(flags, args), {
    string: ["_", ...named("text"), ...named("list")],
    boolean: named("switch"),
    collect: named("list"),
    alias,
    "--": true,
    unknown: (arg, key) => {
      if (key !== undefined) throw unknownFlag(words, flags, arg);
      return true;
    },
  });
  const values: Record<string, unknown> = {};
  for (const name of names) values[name] = checkedFlag(name, flags[name]!, parsed[name], args);
  return { values, positional: [...parsed._.map(String), ...(parsed["--"] as string[])] };
}

/** `-oyaml` as `-o yaml`. */
function withSpaces(flags: FlagTable, args: readonly string[]): string[] {
  const valued = new Set(Object.values(flags).flatMap(({ kind, short }) => kind === "switch" ? [] : [short]));
  const end = args.indexOf("--");
  return args.flatMap((arg, i) => {
    const [, short, value] = /^-([A-Za-z])([^=].*)$/s.exec(arg) ?? [];
    return short !== undefined && valued.has(short) && (end < 0 || i < end) ? [`-${short}`, value!] : [arg];
  });
}

function checkedFlag(name: string, flag: FlagSpec, value: unknown, args: readonly string[]): unknown {
  if (flag.kind === "switch") {
    const given = args.find((arg) => arg.startsWith(`--${name}=`));
    if (given !== undefined && !/=(true|false)$/.test(given)) {
      throw new UsageError(`--${name} takes no value`, `say --${name}`);
    }
    return value === true;
  }
  if (flag.kind === "list") {
    const list = (value ?? []) as string[];
    if (list.includes("")) throw new UsageError(`--${name} needs a value: ${flag.value}`);
    return list;
  }
  if (value === undefined) return flag.default;
  if (value === "") throw new UsageError(`--${name} needs a value: ${flag.value}`);
  if (flag.choices !== undefined && !flag.choices.includes(value as string)) {
    const guess = nearest(value as string, flag.choices);
    throw new UsageError(
      `--${name} is one of ${flag.choices.join(", ")}; not ${JSON.stringify(value)}`,
      guess === undefined ? undefined : `did you mean --${name} ${guess}?`,
    );
  }
  return value;
}

function checkArguments(command: Command, given: readonly string[]): void {
  const specs: readonly ArgumentSpec[] = command.arguments;
  const call = `lamina ${command.words.join(" ")}`;
  const missing = specs[given.length];
  if (missing !== undefined && !missing.optional) {
    throw new UsageError(`${call} needs ${missing.name}: ${missing.help}`, `see ${call} --help`);
  }
  if (given.length > specs.length && specs.at(-1)?.repeated !== true) {
    const surplus = JSON.stringify(given[specs.length]);
    const takes = specs.length === 0 ? "no arguments" : specs.map(({ name }) => name).join(" ");
    throw new UsageError(`${call} takes ${takes}; ${surplus} is too much`, `see ${call} --help`);
  }
  if (given.some((arg, i) => arg === "" && !(specs[i] ?? specs.at(-1))!.optional)) {
    throw new UsageError(`${call}: an argument is empty`, `see ${call} --help`);
  }
}

function unknownFlag(words: readonly string[], flags: FlagTable, arg: string): UsageError {
  const shown = arg.split("=")[0]!;
  const known = Object.keys(flags).map((name) => `--${name}`);
  const guess = shown.startsWith("--") ? nearest(shown, known) : undefined;
  const call = ["lamina", ...words].join(" ");
  return new UsageError(
    `Unknown flag ${shown} for ${call}`,
    guess === undefined ? `see ${call} --help` : `did you mean ${guess}?`,
  );
}

function unknownCommand(table: readonly Command[], words: readonly string[], stray: string): UsageError {
  const call = ["lamina", ...words].join(" ");
  const guess = nearest(stray, nextWords(table, words));
  return new UsageError(
    `Unknown command ${JSON.stringify(stray)} for ${call}`,
    guess === undefined ? `see ${call} --help` : `did you mean ${call} ${guess}?`,
  );
}

/** The words that may follow `words`. */
export function nextWords(table: readonly Command[], words: readonly string[]): string[] {
  const longer = table.filter((row) =>
    !row.hidden && row.words.length > words.length && sameWords(row.words.slice(0, words.length), words)
  );
  return [...new Set(longer.map((row) => row.words[words.length]!))];
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}
