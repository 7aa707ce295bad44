/** What a row of the command table is. Parsing, help, completions and the reference all come from it. */
import type { Context } from "./context.ts";

/** What completes a word on the shell. */
export type Completion =
  | "image"
  | "container"
  | "volume"
  | "file"
  | "directory"
  | "container-path"
  /** Names of objects of the kind that the first argument names. */
  | "object"
  | readonly string[];

/** A flag. `--name`, and `-n` where `short` says so. */
export type FlagSpec =
  | { readonly kind: "switch"; readonly short?: string; readonly help: string }
  | {
    readonly kind: "text";
    readonly short?: string;
    /** Stands for the value in the help. */
    readonly value: string;
    readonly help: string;
    readonly default?: string;
    /** The only values that are accepted. */
    readonly choices?: readonly string[];
    readonly complete?: Completion;
  }
  | {
    readonly kind: "list";
    readonly short?: string;
    readonly value: string;
    readonly help: string;
    readonly complete?: Completion;
  };

/** The value of a flag after parsing. */
export type FlagValue<F extends FlagSpec> = F extends { kind: "switch" } ? boolean
  : F extends { kind: "list" } ? string[]
  : F extends { default: string } ? string
  : string | undefined;

/** Flags by their long name. */
export type FlagTable = Readonly<Record<string, FlagSpec>>;

/** Values of a table of flags. */
export type FlagValues<F extends FlagTable> = { readonly [K in keyof F]: FlagValue<F[K]> };

/** A positional argument. */
export interface ArgumentSpec {
  /** Stands for it in the help: `CONTAINER`. */
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** One or more; only the last may. */
  readonly repeated?: boolean;
  readonly complete?: Completion;
}

/** A row of the command table. */
export interface CommandSpec<F extends FlagTable = FlagTable> {
  /** The words that call it: `["image", "import"]`. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly flags?: F;
  /** Command line (without `lamina`) and what it does. At least one. */
  readonly examples: readonly (readonly [string, string])[];
  /** Works, but is not shown. */
  readonly hidden?: boolean;
  /** @returns the exit code; nothing means 0. */
  readonly run: (context: Context<FlagValues<F>>) => Promise<number | void>;
}

/** A row whose types have done their work. */
export type Command = Omit<CommandSpec, "run"> & {
  readonly flags: FlagTable;
  readonly arguments: readonly ArgumentSpec[];
  // The parser makes the flags fit the table that the same row holds.
  // deno-lint-ignore no-explicit-any
  readonly run: (context: Context<any>) => Promise<number | void>;
};

/** Makes a row of the command table; the types of `context.flags` follow from `flags`. */
export function command<const F extends FlagTable = Record<never, never>>(spec: CommandSpec<F>): Command {
  return { flags: {}, arguments: [], ...spec };
}
