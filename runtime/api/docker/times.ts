/** Times as Docker writes them. Pure. */

/** Go's time zero: what never happened. */
export const NEVER = "0001-01-01T00:00:00Z";

/** Whole seconds since the epoch. */
export function unixSeconds(iso: string): number {
  return Math.floor(Date.parse(iso) / 1000);
}

/** `2024-01-31T12:00:00Z`: to the second. */
export function toTheSecond(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 19)}Z`;
}
