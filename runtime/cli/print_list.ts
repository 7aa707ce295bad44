/** What every command that lists prints: JSON, names, what `--format` says, or a table. */
import type { FlagTable } from "./command.ts";
import { type Listing, rowFormat } from "./format.ts";
import type { Output } from "./output.ts";

/** For the flags of such a command. */
export const FORMAT_FLAG = {
  format: {
    kind: "text",
    value: "TEMPLATE",
    help:
      "Print {{.Field}}s of each, e.g. '{{.Name}}\\t{{.Labels.tier}}'; 'table …' with titles, json for lines of JSON",
  },
} as const satisfies FlagTable;

/**
 * Reads the template, before anybody is asked for anything.
 *
 * @param nameOf What `--quiet` prints.
 * @returns prints rows; `answer`: what `--json` prints, where that is not the rows.
 * @throws {UsageError} as {@linkcode rowFormat}
 */
export function listPrinter<T extends object>(
  output: Output,
  format: string | undefined,
  listing: Listing<T>,
  nameOf: (row: T) => string,
): (rows: readonly T[], answer?: unknown) => void {
  const lines = format === undefined ? undefined : rowFormat(format, listing);
  return (rows, answer = rows) => {
    if (lines !== undefined) lines(rows).forEach((line) => output.line(line));
    else if (output.asJson) output.json(answer);
    else if (output.quiet) rows.forEach((row) => output.line(nameOf(row)));
    else output.table(listing.columns, rows);
  };
}
