/** An object from outside becomes a trusted one here, with Kubernetes' defaults filled in. */
import type * as z from "zod";
import { LaminaError } from "../../errors.ts";
import { KUBE_KINDS, type KubeKind, kubeKind } from "./kinds.ts";

/** A JSON object. */
export type JsonObject = Record<string, unknown>;

/** Deeper nesting than any object of Kubernetes has. */
const MAX_DEPTH = 64;
/** How many wrong fields one message names. */
const MAX_SHOWN = 8;

/**
 * `value` as an object of its kind.
 *
 * Fields that are `null` count as absent. What Kubernetes sets by default in fields of storage is filled in; fields
 * that Lamina does not know are kept, outside of storage.
 *
 * @throws `INVALID_ARGUMENT` naming each wrong field by its path (`spec.volumes[1].hostPath.type`). Values are never
 * shown: they may be secret.
 */
export function parseKubeObject(value: unknown): { kind: KubeKind; object: JsonObject } {
  if (!isObject(value)) throw refused("Invalid object: it must be a mapping with apiVersion, kind and metadata");
  const kind = kindOf(value);
  const title = titleOf(value, kind);
  const parsed = kind.schema.safeParse(withoutNulls(value, title));
  if (!parsed.success) throw invalid(title, parsed.error.issues);
  const object = parsed.data as JsonObject & { metadata: { namespace?: string } };
  if (!kind.namespaced && object.metadata.namespace !== undefined) {
    throw refused(`Invalid ${title}: metadata.namespace: a ${kind.kind} belongs to no namespace`, [
      "metadata.namespace",
    ]);
  }
  return { kind, object };
}

function kindOf(value: JsonObject): KubeKind {
  const kind = typeof value.kind === "string" ? kubeKind(value.kind) : undefined;
  if (kind === undefined) {
    const known = KUBE_KINDS.map((row) => row.kind).join(", ");
    const found = typeof value.kind === "string" ? `is ${JSON.stringify(value.kind.slice(0, 80))}` : "is missing";
    throw refused(`Invalid object: kind ${found}. Lamina knows ${known}`, ["kind"]);
  }
  if (value.apiVersion !== kind.apiVersion) {
    const found = typeof value.apiVersion === "string" ? `not ${JSON.stringify(value.apiVersion.slice(0, 80))}` : "";
    throw refused(`Invalid ${titleOf(value, kind)}: apiVersion: must be ${kind.apiVersion}${found && `, ${found}`}`, [
      "apiVersion",
    ]);
  }
  return kind;
}

/** `Pod "web"`. */
function titleOf(value: JsonObject, kind: KubeKind): string {
  const name = isObject(value.metadata) ? value.metadata.name : undefined;
  return typeof name === "string" ? `${kind.kind} ${JSON.stringify(name.slice(0, 80))}` : kind.kind;
}

/** The same without fields that are null; Kubernetes takes both for absent. */
function withoutNulls(value: unknown, title: string, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw refused(`Invalid ${title}: it is nested more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(value)) return value.map((element) => withoutNulls(element, title, depth + 1));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(entries.map(([key, field]) => [key, withoutNulls(field, title, depth + 1)]));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(title: string, issues: readonly z.core.$ZodIssue[]): LaminaError {
  const found = issues.flatMap(wrongFields);
  const shown = found.slice(0, MAX_SHOWN).map(({ path, message }) => path === "" ? message : `${path}: ${message}`);
  const more = found.length > MAX_SHOWN ? `; and ${found.length - MAX_SHOWN} more` : "";
  return refused(`Invalid ${title}: ${shown.join("; ")}${more}`, found.slice(0, 20).map(({ path }) => path));
}

function refused(message: string, fields: string[] = []): LaminaError {
  return new LaminaError("INVALID_ARGUMENT", message, { details: { fields } });
}

function wrongFields(issue: z.core.$ZodIssue): Array<{ path: string; message: string }> {
  const path = fieldPath(issue.path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: fieldPath([...issue.path, key]), message: "is not a known field" }));
    case "invalid_key":
      return [{ path, message: `the key ${issue.issues[0]?.message ?? "is refused"}` }];
    case "invalid_value":
      if (!issue.message.startsWith("Invalid")) return [{ path, message: issue.message }];
      return [{ path, message: `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}` }];
    case "invalid_type":
      return [{ path, message: typeMessage(issue.message) }];
    case "invalid_union":
      return [{ path, message: issue.errors.flat()[0]?.message ?? issue.message }];
    default:
      return [{ path, message: issue.message }];
  }
}

function typeMessage(message: string): string {
  if (message.endsWith("received undefined")) return "is required";
  return message.replace(/^Invalid input: expected (.*), received (.*)$/, "must be a $1, not $2");
}

/** `spec.volumes[1].hostPath.type`; keys with other characters in brackets, too: `data[app conf]`. */
function fieldPath(path: readonly PropertyKey[]): string {
  return path.map((part, i) => {
    if (typeof part === "number") return `[${part}]`;
    const name = String(part);
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) return `[${name.slice(0, 100)}]`;
    return i === 0 ? name : `.${name}`;
  }).join("");
}
