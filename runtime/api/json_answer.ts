/**
 * Answers as JSON. Lists are asked for often: the text of an item that stays the same object is written once, and so is
 * that of a whole list.
 */

const texts = new WeakMap<object, string>();
const lists = new WeakMap<object, Uint8Array<ArrayBuffer>>();

/** An answer of `application/json`. Frozen lists, and frozen items of a list, have to be frozen all through. */
export function jsonResponse(value: unknown, status: number): Response {
  const body = Array.isArray(value) ? listBody(value) : JSON.stringify(value);
  return new Response(body, { status, headers: { "content-type": "application/json" } });
}

function listBody(list: readonly unknown[]): string | Uint8Array<ArrayBuffer> {
  if (!Object.isFrozen(list)) return listText(list);
  let bytes = lists.get(list);
  if (bytes === undefined) lists.set(list, bytes = new TextEncoder().encode(listText(list)));
  return bytes;
}

function listText(list: readonly unknown[]): string {
  return `[${list.map(itemText).join(",")}]`;
}

function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null || !Object.isFrozen(item)) return JSON.stringify(item) ?? "null";
  let text = texts.get(item);
  if (text === undefined) texts.set(item, text = JSON.stringify(item));
  return text;
}
