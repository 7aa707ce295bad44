/** Secrets that plugins hand to programs: by files in memory, never in arguments. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { ObjectLookup, VolumeSpec } from "../port.ts";

/** Of a source's `secretRef`. */
export interface SecretReference {
  readonly name: string;
  readonly namespace?: string | undefined;
}

/** A Secret's values by key. @throws `NOT_FOUND`, `INVALID_ARGUMENT`; no value is in a message. */
export function secretValues(reference: SecretReference, spec: VolumeSpec, objects: ObjectLookup): Map<string, string> {
  const { name, namespace = "default" } = reference;
  const object = objects.get({ kind: "Secret", namespace, name });
  const refuse = (code: "NOT_FOUND" | "INVALID_ARGUMENT", why: string) =>
    new LaminaError(code, `Cannot use the volume ${JSON.stringify(spec.name)}: Secret ${namespace}/${name} ${why}`, {
      details: { kind: "Secret", namespace, name },
    });
  if (object === undefined) throw refuse("NOT_FOUND", "does not exist. Apply it");
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(object.data ?? {})) {
    try {
      values.set(key, new TextDecoder().decode(Uint8Array.fromBase64(String(value))));
    } catch {
      // Without the cause: it might quote the value.
      throw refuse("INVALID_ARGUMENT", `has a key ${JSON.stringify(key)} that is no base64. Apply it again`);
    }
  }
  for (const [key, value] of Object.entries(object.stringData ?? {})) values.set(key, String(value));
  return values;
}

/** The one value of a Secret of Ceph: that of `key`, or the only one. */
export function cephKey(reference: SecretReference, spec: VolumeSpec, objects: ObjectLookup): string {
  const values = secretValues(reference, spec, objects);
  const value = values.get("key") ?? (values.size === 1 ? [...values.values()][0] : undefined);
  if (value !== undefined) return value.trim();
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot use the volume ${JSON.stringify(spec.name)}: its Secret ${
      JSON.stringify(reference.name)
    } needs the key "key"`,
  );
}
