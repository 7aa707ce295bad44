/** `k=v` flags. Pure. */
import { UsageError } from "./parse.ts";

/**
 * A list of `k=v` as a record.
 *
 * @param options `bare`: `k` alone means an empty value, as for labels.
 * @throws {UsageError} for a missing key or value, or a key twice.
 */
export function keyValues(
  flag: string,
  list: readonly string[],
  options: { bare?: boolean } = {},
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const item of list) {
    const at = item.indexOf("=");
    const key = at < 0 ? item : item.slice(0, at);
    if (key === "" || (at < 0 && !options.bare)) {
      throw new UsageError(`${flag} takes KEY=VALUE; not ${JSON.stringify(item)}`);
    }
    if (Object.hasOwn(values, key)) throw new UsageError(`${flag} has the key ${JSON.stringify(key)} twice`);
    values[key] = at < 0 ? "" : item.slice(at + 1);
  }
  return values;
}
