/** Output of the project's own programs (test runner, demo, compile): whole lines, coloured on a terminal only. */

const encoder = new TextEncoder();

/** Whether standard output shows colours. */
export const isTerminal: boolean = Deno.stdout.isTerminal() && !Deno.noColor;

/** Writes a line to standard output, whole even when it is a slow pipe. */
export function say(line = ""): void {
  const bytes = encoder.encode(`${line}\n`);
  for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
}

function paint(code: number): (text: string) => string {
  return (text) => isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text;
}

/** Emphasis. */
export const bold = paint(1);
/** Side remarks. */
export const dim = paint(2);
/** What went wrong. */
export const red = paint(31);
/** What went right. */
export const green = paint(32);
/** What deserves a look. */
export const yellow = paint(33);
/** What is typed. */
export const cyan = paint(36);

/** `1.2 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
