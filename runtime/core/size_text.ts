/** Sizes as people write them. Pure. */

const FACTORS: Readonly<Record<string, number>> = { "": 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `64m`, `1.5g`, `1024`, `10KiB` in bytes (powers of 1024); `undefined` for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?([bkmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) return undefined;
  const size_bytes = Math.floor(Number(match[1]) * FACTORS[match[2]!.toLowerCase()]!);
  return Number.isSafeInteger(size_bytes) ? size_bytes : undefined;
}
