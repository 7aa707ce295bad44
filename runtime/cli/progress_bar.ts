/** Progress on a terminal: a line for each thing that moves, redrawn in place. */
import type { ProgressEvent } from "../core/operation.ts";
import { counted, humanSize, printable } from "./human.ts";

/** Most lines at a time. */
const MAX_LINES = 12;
/** Milliseconds between two redraws. */
const REDRAW_MS = 80;

/** Receives progress; `done` takes the lines away. */
export interface ProgressDisplay {
  update(event: ProgressEvent): void;
  done(): void;
}

/** Bars on standard error where that is a terminal; nothing in a pipe or when `quiet`. */
export function progressDisplay(quiet: boolean): ProgressDisplay {
  if (quiet || !Deno.stderr.isTerminal()) return { update: () => {}, done: () => {} };
  const events = new Map<string, ProgressEvent>();
  let drawn = 0;
  let last_ms = 0;
  const write = (text: string) => {
    try {
      Deno.stderr.writeSync(new TextEncoder().encode(text));
    } catch { /* the terminal has gone; the work goes on */ }
  };
  const redraw = () => {
    const lines = progressLines([...events.values()], columns());
    write(`${drawn > 0 ? `\x1b[${drawn}A` : ""}\x1b[J${lines.map((line) => `${line}\n`).join("")}`);
    drawn = lines.length;
    last_ms = performance.now();
  };
  return {
    update(event) {
      const key = `${event.phase}/${event.id}`;
      // What moved last is drawn last, so that it stays in sight.
      events.delete(key);
      events.set(key, event);
      if (performance.now() - last_ms >= REDRAW_MS) redraw();
    },
    done() {
      if (drawn > 0) write(`\x1b[${drawn}A\x1b[J`);
      drawn = 0;
      events.clear();
    },
  };
}

/** The lines for these events, none longer than `width`. Pure. */
export function progressLines(events: readonly ProgressEvent[], width: number): string[] {
  // What is left of the line once the amounts have their 20 columns, shared by label and bar.
  const room = Math.max(20, width - 24);
  const label = Math.min(34, Math.floor(room / 2));
  const slots = Math.min(24, room - label - 2);
  return events.slice(-MAX_LINES).map((event) => {
    const name = printable(`${event.phase} ${event.id}`).slice(0, label).padEnd(label);
    return `${name} ${bar(event, slots)} ${amount(event)}`.slice(0, width - 1).trimEnd();
  });
}

function bar({ current, total }: ProgressEvent, slots: number): string {
  if (total === undefined || total <= 0) return "".padEnd(slots + 2);
  const filled = Math.max(0, Math.min(slots, Math.round((current / total) * slots)));
  return `[${"=".repeat(filled).padEnd(slots)}]`;
}

function amount({ current, total, unit, message }: ProgressEvent): string {
  if (message !== undefined) return printable(message);
  const show = (value: number) => (unit ?? "bytes") === "bytes" ? humanSize(value) : String(value);
  if (total !== undefined) return `${show(current)} / ${show(total)}`;
  return unit === "entries" ? counted(current, "entry").replace("entrys", "entries") : show(current);
}

function columns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 80;
  }
}
