/** Paths into objects as kubectl's jsonpath writes them: `{.status.conditions[0].type}`. Pure. */
import { UsageError } from "./parse.ts";

/**
 * The steps of a path: names and indexes.
 *
 * @throws {UsageError} for filters, wildcards and anything else that is more than a path.
 */
export function parseJsonPath(text: string): Array<string | number> {
  const path = text.replace(/^\{(.*)\}$/, "$1");
  const steps: Array<string | number> = [];
  const pattern = /\.?((?:[A-Za-z_$][\w$-]*)(?:\\\.[\w$/-]+)*)|\[(\d+)\]|\['([^']*)'\]/y;
  while (pattern.lastIndex < path.length) {
    const match = pattern.exec(path);
    if (match === null) {
      throw new UsageError(`${JSON.stringify(text)} is no path like {.status.phase} or {.status.conditions[0].type}`);
    }
    const [, name, index, quoted] = match;
    steps.push(index === undefined ? quoted ?? name!.replaceAll("\\.", ".") : Number(index));
  }
  if (steps.length === 0) throw new UsageError("The path is empty: say something like {.status.phase}");
  return steps;
}

/** What is there; `undefined`: nothing. */
export function valueAt(object: unknown, steps: readonly (string | number)[]): unknown {
  let value = object;
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
