/** Selectors of labels as people write them: `app=web,tier!=db,stage in (a, b),!old`. Pure. */
import { UsageError } from "./parse.ts";

/** Whether an object's labels fit. */
export type LabelSelector = (labels: Readonly<Record<string, string>> | undefined) => boolean;

const KEY = String.raw`([A-Za-z0-9](?:[-._/A-Za-z0-9]*[A-Za-z0-9])?)`;
const EQUALITY = new RegExp(`^${KEY}\\s*(==?|!=)\\s*([-._A-Za-z0-9]*)$`);
const SET = new RegExp(`^${KEY}\\s+(in|notin)\\s+\\(([-._A-Za-z0-9,\\s]*)\\)$`);
const PRESENCE = new RegExp(`^(!?)\\s*${KEY}$`);

/** @throws {UsageError} with the part that is no requirement. */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = partsOf(text).map(requirementOf);
  return (labels = {}) => requirements.every((fits) => fits(labels));
}

/** Commas within parentheses separate values. */
function partsOf(text: string): string[] {
  if (text.trim() === "") return [];
  return text.split(/,(?![^()]*\))/).map((part) => part.trim());
}

function requirementOf(part: string): (labels: Readonly<Record<string, string>>) => boolean {
  const equality = EQUALITY.exec(part);
  if (equality !== null) {
    const [, key, operator, value] = equality;
    return (labels) => (labels[key!] === value) === (operator !== "!=");
  }
  const set = SET.exec(part);
  if (set !== null) {
    const [, key, operator, list] = set;
    const values = new Set(list!.split(",").map((value) => value.trim()));
    return (labels) => (labels[key!] !== undefined && values.has(labels[key!]!)) === (operator === "in");
  }
  const presence = PRESENCE.exec(part);
  if (presence !== null) return (labels) => Object.hasOwn(labels, presence[2]!) === (presence[1] === "");
  throw new UsageError(
    `${
      JSON.stringify(part)
    } is no selector of labels: KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY`,
  );
}
