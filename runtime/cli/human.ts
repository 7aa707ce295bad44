/** Numbers and times as people read them. Pure. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1536` as `1.5 KiB`: three digits at most before the unit. */
export function humanSize(size_bytes: number): string {
  let value = size_bytes;
  let unit = 0;
  while (Math.abs(value) >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const STEPS: ReadonlyArray<readonly [string, number]> = [
  ["year", 365 * 86400],
  ["month", 30 * 86400],
  ["week", 7 * 86400],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago an ISO time was: `3 hours ago`; `-` where there is none. */
export function humanAge(time: string | undefined, now_ms: number): string {
  if (time === undefined) return "-";
  const age_s = Math.floor((now_ms - Date.parse(time)) / 1000);
  if (Number.isNaN(age_s)) return "-";
  if (age_s < 1) return "now";
  const [name, length_s] = STEPS.find(([, length_s]) => age_s >= length_s)!;
  const count = Math.floor(age_s / length_s);
  return `${count} ${name}${count === 1 ? "" : "s"} ago`;
}

/** `1` as `1 layer`, `2` as `2 layers`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The first 12 digits of a digest or id. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}

/** Text from elsewhere, with control characters made visible: a file name must not move a terminal's cursor. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
