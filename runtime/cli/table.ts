/** Aligned columns. Pure. */

/** A column. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string | number;
  /** Numbers and sizes. */
  readonly right?: boolean;
}

/** Lines of a table, the titles first, two spaces between columns. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map((c) => String(c.value(row))))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  return cells.map((line) =>
    line.map((cell, i) => columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)).join("  ").trimEnd()
  );
}
