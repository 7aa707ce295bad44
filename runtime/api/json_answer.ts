/** Answers as JSON. Lists whose items stay the same objects are asked for often: the text of each is written once. */

const texts = new WeakMap<object, string>();

/** An answer of `application/json`. Frozen items of a list have to be frozen all through. */
export function jsonResponse(value: unknown, status: number): Response {
  return new Response(jsonText(value), { status, headers: { "content-type": "application/json" } });
}

function jsonText(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(itemText).join(",")}]` : JSON.stringify(value);
}

function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null || !Object.isFrozen(item)) return JSON.stringify(item) ?? "null";
  let text = texts.get(item);
  if (text === undefined) texts.set(item, text = JSON.stringify(item));
  return text;
}
