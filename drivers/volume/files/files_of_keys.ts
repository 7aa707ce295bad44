/** The keys of a ConfigMap or Secret as files. Pure. */
import { type AtomicFile, cleanPath } from "../../../runtime/core/atomic_files.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { KeyToPath } from "../../../runtime/core/specs/kube/config_sources.ts";
import type { ObjectKey } from "../port.ts";

/** What a volume wants of an object. */
export interface WantedKeys {
  readonly object: ObjectKey;
  /** Absent: every key, as a file of its name. */
  readonly items?: readonly KeyToPath[];
  readonly optional: boolean;
  /** Of files that have none of their own. */
  readonly defaultMode: number;
  /** Which volume wants it, for messages. */
  readonly what: string;
}

/**
 * Files by path.
 *
 * @param object As applied; `undefined`: there is none.
 * @throws `NOT_FOUND` for an object or key that is missing and not optional, `INVALID_ARGUMENT` for data that is no
 * base64. No value is ever in a message.
 */
export function filesOfKeys(
  object: Readonly<Record<string, unknown>> | undefined,
  wanted: WantedKeys,
): Map<string, AtomicFile> {
  const { kind, namespace, name } = wanted.object;
  const shown = `${kind} ${namespace}/${name}`;
  if (object === undefined) {
    if (wanted.optional) return new Map();
    throw missing(wanted, `${shown} does not exist. Apply it, or mark it as optional`);
  }
  const values = valuesOf(object, shown, wanted.what);
  const items = wanted.items ?? [...values.keys()].map((key) => ({ key, path: key, mode: undefined }));
  const files = new Map<string, AtomicFile>();
  for (const { key, path, mode } of items) {
    const content = values.get(key);
    if (content !== undefined) files.set(cleanPath(path), { content, mode: mode ?? wanted.defaultMode });
    else if (!wanted.optional) {
      throw missing(wanted, `${shown} has no key ${JSON.stringify(key)}. It has: ${listed([...values.keys()])}`);
    }
  }
  return files;
}

function missing({ what, object }: WantedKeys, why: string): LaminaError {
  return new LaminaError("NOT_FOUND", `Cannot set up the ${what}: ${why}`, {
    details: { kind: object.kind, namespace: object.namespace, name: object.name },
  });
}

function listed(keys: readonly string[]): string {
  if (keys.length === 0) return "none";
  return keys.slice(0, 10).join(", ") + (keys.length > 10 ? `, and ${keys.length - 10} more` : "");
}

const encoder = new TextEncoder();

/** `data` of a ConfigMap and `stringData` of a Secret are text, `binaryData` and a Secret's `data` are base64. */
function valuesOf(
  object: Readonly<Record<string, unknown>>,
  shown: string,
  what: string,
): Map<string, Uint8Array<ArrayBuffer>> {
  const fields = object.kind === "Secret"
    ? { base64: object.data, text: object.stringData }
    : { base64: object.binaryData, text: object.data };
  const values = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [key, value] of Object.entries(fields.base64 ?? {})) {
    try {
      values.set(key, Uint8Array.fromBase64(String(value)));
    } catch {
      // Without the cause: it might quote the value.
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot set up the ${what}: the key ${JSON.stringify(key)} of ${shown} is no base64. Apply it again`,
      );
    }
  }
  for (const [key, value] of Object.entries(fields.text ?? {})) values.set(key, encoder.encode(String(value)));
  return values;
}
