/** Quantities as Kubernetes writes them (`1Gi`, `500M`, `128974848`, `1e3`). Pure. */

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
/** More digits than any quantity has; keeps the arithmetic small. */
const MAX_LENGTH = 64;
/** Kubernetes caps quantities at 2^63-1. */
const MAX = 2n ** 63n - 1n;

/**
 * A quantity as a whole number (bytes, for sizes), rounded up as Kubernetes does.
 *
 * @returns `undefined` for anything that is no quantity, is negative, or is larger than 2^63-1. Above 2^53 it is the
 * nearest number that JavaScript has.
 */
export function parseQuantity(text: string): number | undefined {
  const exact = parseExact(text);
  if (exact === undefined) return undefined;
  const rounded = roundUp(exact.numerator, exact.denominator);
  return rounded > MAX ? undefined : Number(rounded);
}

/**
 * How often one quantity is in another, rounded up: `250m` of CPU by `1m` is 250, `1500Mi` by `1Gi` is 2.
 *
 * @returns `undefined` when one of them is no quantity, or the divisor is zero.
 */
export function divideQuantities(value: string, divisor: string): bigint | undefined {
  const of = parseExact(value), by = parseExact(divisor);
  if (of === undefined || by === undefined || by.numerator === 0n) return undefined;
  return roundUp(of.numerator * by.denominator, of.denominator * by.numerator);
}

function roundUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}

function parseExact(text: string): { numerator: bigint; denominator: bigint } | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const match = /^\+?(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d{1,2}))$/.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction = "", binary, decimal = "", exponent] = match;
  if (whole === "" && fraction === "") return undefined;
  const power = binary === undefined ? (exponent === undefined ? DECIMAL[decimal]! : Number(exponent)) : 0;
  let numerator = BigInt(whole + fraction);
  if (binary !== undefined) numerator *= 1024n ** BigInt(BINARY.indexOf(binary));
  // What is left of the decimal point after the powers of ten have met.
  const shift = power - fraction.length;
  if (shift >= 0) numerator *= 10n ** BigInt(shift);
  return { numerator, denominator: shift < 0 ? 10n ** BigInt(-shift) : 1n };
}

/**
 * Bytes as a quantity: with the largest binary suffix that says it exactly.
 *
 * @param size_bytes A whole number, not negative.
 */
export function formatQuantity(size_bytes: number): string {
  let size = size_bytes;
  let suffix = 0;
  while (size > 0 && size % 1024 === 0 && suffix < BINARY.length - 1) {
    size /= 1024;
    suffix++;
  }
  return `${size}${BINARY[suffix]}`;
}
