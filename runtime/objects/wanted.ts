/** What an author wants of an object: the document without what is the store's or a controller's. Pure. */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import type { JsonObject } from "../core/specs/kube/parse_object.ts";

/** Set by the store. */
const STORES: ReadonlySet<string> = new Set([
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "managedFields",
  "selfLink",
]);

/** kubectl's own note of what was applied; it would repeat a Secret's data in the open. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * The part of a document that is merged.
 *
 * @param document A checked object, as it came.
 * @param key Whose it is.
 */
export function wantedOf(document: JsonObject, { namespace }: ObjectKey): JsonObject {
  const { status: _, stringData, ...rest } = withoutNulls(document) as JsonObject;
  const metadata = Object.fromEntries(
    Object.entries(rest.metadata as JsonObject).filter(([field]) => !STORES.has(field)),
  );
  if (namespace !== "") metadata.namespace = namespace;
  if (isObject(metadata.annotations)) {
    const { [LAST_APPLIED]: __, ...annotations } = metadata.annotations;
    metadata.annotations = annotations;
  }
  const wanted: JsonObject = { ...rest, metadata };
  if (wanted.kind === "Secret" && isObject(stringData)) {
    const encoded = Object.entries(stringData).map(([name, text]) => [name, base64(String(text))]);
    wanted.data = { ...wanted.data as JsonObject | undefined, ...Object.fromEntries(encoded) };
  } else if (stringData !== undefined) {
    wanted.stringData = stringData;
  }
  return wanted;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, field]) => field !== null).map(([key, field]) => [key, withoutNulls(field)]),
  );
}

/** A text's UTF-8 in base64. */
function base64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
