/** What the command line writes. */
import { type Column, tableLines } from "./table.ts";

/** Where a command's words go. */
export interface Output {
  /** Standard output is a terminal. */
  readonly terminal: boolean;
  /** Print the API's JSON and nothing else. */
  readonly asJson: boolean;
  /** Names only. */
  readonly quiet: boolean;
  /** A line on standard output. */
  line(text?: string): void;
  /** A value on standard output: one line, or indented on a terminal. */
  json(value: unknown): void;
  /** Indented in any case. */
  document(value: unknown): void;
  /** A table on standard output; nothing but the titles when there are no rows. */
  table<T>(columns: readonly Column<T>[], rows: readonly T[]): void;
  /** A line on standard error that `--quiet` silences. */
  note(text: string): void;
  /** A line on standard error. */
  warn(text: string): void;
}

/** Somebody closed the pipe: nothing more will be read. Ends the command without a word. */
export class OutputClosed extends Error {
  constructor(cause: unknown) {
    super("standard output was closed", { cause });
  }
}

/** Writes all of the bytes, or throws {@linkcode OutputClosed}. */
export function writeAllSync(sink: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length;) done += sink.writeSync(bytes.subarray(done));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed(error);
    throw error;
  }
}

/** Standard output and error. */
export function standardOutput(options: { asJson: boolean; quiet: boolean }): Output {
  const encoder = new TextEncoder();
  const terminal = Deno.stdout.isTerminal();
  const line = (text = "") => writeAllSync(Deno.stdout, encoder.encode(`${text}\n`));
  const warn = (text: string) => errorLine(text);
  return {
    terminal,
    ...options,
    line,
    json: (value) => line(JSON.stringify(value, null, terminal ? 2 : undefined)),
    document: (value) => line(JSON.stringify(value, null, 2)),
    table: (columns, rows) => {
      const [titles, ...rest] = tableLines(columns, rows);
      line(style("1", titles!, terminal));
      for (const row of rest) line(row);
    },
    note: (text) => options.quiet || warn(text),
    warn,
  };
}

/** A line on standard error; never throws. */
export function errorLine(text: string): void {
  try {
    writeAllSync(Deno.stderr, new TextEncoder().encode(`${text}\n`));
  } catch { /* nobody reads it, and there is nowhere else to say so */ }
}

/** Text with a terminal attribute (`1` bold, `31` red), where that is wanted. */
export function style(attribute: string, text: string, terminal: boolean): string {
  return terminal && !Deno.noColor ? `\x1b[${attribute}m${text}\x1b[0m` : text;
}
