/** What may come next on a command line. Pure; names of objects are asked for by the caller. */
import type { ArgumentSpec, Command, Completion, FlagSpec, FlagTable } from "./command.ts";
import { GLOBAL_FLAGS } from "./global_flags.ts";
import { nextWords } from "./parse.ts";

/** Candidates, or what the caller must look up. */
export type Suggestion =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | {
    readonly kind: "lookup";
    readonly what: Exclude<Completion, "object" | readonly string[]>;
    readonly prefix: string;
  }
  /** Names of objects of a kind, as it was written, each with `before` in front of it. */
  | {
    readonly kind: "objects";
    readonly of: string;
    readonly namespace?: string;
    readonly before: string;
    readonly prefix: string;
  };

/**
 * What completes the last of `words` (which follow `lamina`; the last may be empty).
 */
export function suggest(table: readonly Command[], words: readonly string[]): Suggestion {
  const current = words.at(-1) ?? "";
  const { command, called, positionals, pending, namespace } = walk(table, words.slice(0, -1));
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
  const argument: ArgumentSpec | undefined = command.arguments[positionals.length] ??
    (command.arguments.at(-1)?.repeated ? command.arguments.at(-1) : undefined);
  if (argument?.complete === undefined) return none;
  // KIND NAME…, or KIND/NAME…
  if (command.arguments.some(({ complete }) => complete === "object")) {
    const slash = current.indexOf("/");
    if (slash > 0) {
      const [of, prefix] = [current.slice(0, slash), current.slice(slash + 1)];
      return { kind: "objects", of, namespace, before: `${of}/`, prefix };
    }
    if (argument.complete === "object") {
      return { kind: "objects", of: positionals[0]!, namespace, before: "", prefix: current };
    }
  }
  return completion(argument.complete, current);
}

const none: Suggestion = { kind: "words", words: [] };

/** What the words before the cursor have settled. */
function walk(table: readonly Command[], before: readonly string[]) {
  const called: string[] = [];
  let command: Command | undefined;
  const positionals: string[] = [];
  let pending: FlagSpec | undefined;
  let namespace: string | undefined;
  for (const word of before) {
    if (pending !== undefined) {
      if (pending === command?.flags.namespace) namespace = word;
      pending = undefined;
    } else if (word.startsWith("-") && word !== "-") {
      const flag = flagOf({ ...GLOBAL_FLAGS, ...command?.flags }, word);
      if (flag !== undefined && flag.kind !== "switch" && !word.includes("=")) pending = flag;
      if (flag !== undefined && flag === command?.flags.namespace && word.includes("=")) {
        namespace = word.slice(word.indexOf("=") + 1);
      }
    } else if (command !== undefined) {
      positionals.push(word);
    } else {
      called.push(word);
      command = table.find((row) => row.words.join(" ") === called.join(" "));
    }
  }
  return { command, called, positionals, pending, namespace };
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
  if (what === "object") return none;
  return typeof what === "string" ? { kind: "lookup", what, prefix: current } : matching(what, current);
}

function matching(words: readonly string[], current: string): Suggestion {
  return { kind: "words", words: words.filter((word) => word.startsWith(current)) };
}
