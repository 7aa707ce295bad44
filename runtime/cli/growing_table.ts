/** A table of which the rows come one after the other: the first ones set the widths, with some room. */
import type { KubeObject } from "../core/model/object.ts";
import { printable } from "./human.ts";
import type { Output } from "./output.ts";
import type { Column } from "./table.ts";

/** Columns may still grow by so much without a line being out of place. */
const ROOM = 4;

/** See the head of the file. */
export class GrowingTable {
  #widths: number[] | undefined;
  #first: Array<readonly string[]> = [];

  constructor(
    private readonly columns: readonly Column<KubeObject>[],
    private readonly output: Output,
  ) {}

  /** All that is there now was added. */
  begin(): void {
    const lines = [this.columns.map(({ title }) => title), ...this.#first];
    this.#widths = this.columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)) + ROOM);
    lines.forEach((line) => this.#print(line));
    this.#first = [];
  }

  /** @param gone It has just been deleted. */
  add(object: KubeObject, gone: boolean): void {
    const line = this.columns.map(({ title, value }) => {
      return gone && title === "STATUS" ? "Deleted" : printable(String(value(object)));
    });
    if (gone && !this.columns.some(({ title }) => title === "STATUS")) line[0] += " (deleted)";
    if (this.#widths === undefined) this.#first.push(line);
    else this.#print(line);
  }

  #print(line: readonly string[]): void {
    this.output.line(line.map((cell, i) => `${cell.padEnd(this.#widths![i]! - 2)}  `).join("").trimEnd());
  }
}
