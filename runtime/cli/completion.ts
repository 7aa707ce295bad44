/** What may come next on a command line. Pure; names of objects are asked for by the caller. */
import type { ArgumentSpec, Command, Completion, FlagSpec, FlagTable } from "./command.ts";
import { GLOBAL_FLAGS } from "./global_flags.ts";
import { nextWords } from "./parse.ts";

/** Candidates, or what the caller must look up. */
export type Suggestion =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "lookup"; readonly what: Exclude<Completion, readonly string[]>; readonly prefix: string };

/**
 * What completes the last of `words` (which follow `lamina`; the last may be empty).
 */
export function suggest(table: readonly Command[], words: readonly string[]): Suggestion {
  const current = words.at(-1) ?? "";
  const { command, called, positional, pending } = walk(table, words.slice(0, -1));
  const flags: FlagTable = { ...GLOBAL_FLAGS, ...command?.flags };
  if (pending !== undefined) return completed(pending, current);
  const inline = /^--([a-z-]+)=(.*)$/.exec(current);
  if (inline !== null) {
    const flag = flags[inline[1]!];
    if (flag === undefined || flag.kind === "switch") return none;
    const suggestion = completed(flag, inline[2]!);
    return suggestion.kind === "words"
      ? { kind: "words", words: suggestion.words.map((word) => `--${inline[1]}=${word}`) }
      : suggestion;
  }
  if (current.startsWith("-")) {
    return matching(Object.keys(flags).map((name) => `--${name}`), current);
  }
  if (command === undefined) return matching(nextWords(table, called), current);
  const argument: ArgumentSpec | undefined = command.arguments[positional] ??
    (command.arguments.at(-1)?.repeated ? command.arguments.at(-1) : undefined);
  return argument?.complete === undefined ? none : completion(argument.complete, current);
}

const none: Suggestion = { kind: "words", words: [] };

/** What the words before the cursor have settled. */
function walk(table: readonly Command[], before: readonly string[]) {
  const called: string[] = [];
  let command: Command | undefined;
  let positional = 0;
  let pending: FlagSpec | undefined;
  for (const word of before) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word.startsWith("-") && word !== "-") {
      const flag = flagOf({ ...GLOBAL_FLAGS, ...command?.flags }, word);
      if (flag !== undefined && flag.kind !== "switch" && !word.includes("=")) pending = flag;
    } else if (command !== undefined) {
      positional++;
    } else {
      called.push(word);
      command = table.find((row) => row.words.join(" ") === called.join(" "));
    }
  }
  return { command, called, positional, pending };
}

function flagOf(flags: FlagTable, word: string): FlagSpec | undefined {
  if (word.startsWith("--")) return flags[word.slice(2).split("=")[0]!];
  return Object.values(flags).find((flag) => flag.short === word[1] && word.length === 2);
}

function completed(flag: FlagSpec, current: string): Suggestion {
  if (flag.kind === "switch") return none;
  if (flag.kind === "text" && flag.choices !== undefined) return matching(flag.choices, current);
  return flag.complete === undefined ? none : completion(flag.complete, current);
}

function completion(what: Completion, current: string): Suggestion {
  return typeof what === "string" ? { kind: "lookup", what, prefix: current } : matching(what, current);
}

function matching(words: readonly string[], current: string): Suggestion {
  return { kind: "words", words: words.filter((word) => word.startsWith(current)) };
}
