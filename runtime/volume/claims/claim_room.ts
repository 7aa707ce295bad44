/** What the actions on claims, volumes and snapshots are performed with. */
import type { Provisioner } from "../../../drivers/volume/port.ts";
import type { KubeObject, ObjectStore } from "../../objects/port.ts";
import type { NodeView } from "./selectors.ts";

/** See the head of the file. */
export interface ClaimRoom {
  readonly objects: ObjectStore;
  /** By name. */
  readonly provisioners: ReadonlyMap<string, Provisioner>;
  readonly node: NodeView;
}

/** Notes an event about an object. */
export function tell(
  { objects }: ClaimRoom,
  object: KubeObject,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
): void {
  const { name, namespace = "", uid } = object.metadata;
  objects.event({ about: { kind: object.kind, namespace, name, uid }, type, reason, message });
}

/** The key of an object in the store. */
export function keyOf({ kind, metadata }: KubeObject): { kind: string; namespace: string; name: string } {
  return { kind, namespace: metadata.namespace ?? "", name: metadata.name };
}

/**
 * Changes an object if it is still the same one.
 *
 * @returns the object as it is then; `undefined`: it is gone, or another one has its name.
 */
export async function change(
  { objects }: ClaimRoom,
  object: KubeObject,
  body: (object: KubeObject) => KubeObject,
): Promise<KubeObject | undefined> {
  const isSame = (other: KubeObject) => other.metadata.uid === object.metadata.uid;
  const stored = await objects.update(keyOf(object), (current) => isSame(current) ? body(current) : current);
  return stored !== undefined && isSame(stored) ? stored : undefined;
}

/** The same object with other metadata. */
export function withMetadata(object: KubeObject, metadata: Partial<KubeObject["metadata"]>): KubeObject {
  return { ...object, metadata: { ...object.metadata, ...metadata } };
}

/** The same object with one more finalizer. */
export function withFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const all = object.metadata.finalizers ?? [];
  return all.includes(finalizer) ? object : withMetadata(object, { finalizers: [...all, finalizer] });
}

/** The same object without a finalizer. */
export function withoutFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const all = object.metadata.finalizers ?? [];
  if (!all.includes(finalizer)) return object;
  return withMetadata(object, { finalizers: all.filter((one) => one !== finalizer) });
}

/** The same object with more annotations. */
export function withAnnotations(object: KubeObject, annotations: Readonly<Record<string, string>>): KubeObject {
  return withMetadata(object, { annotations: { ...object.metadata.annotations, ...annotations } });
}

/** The same object with other fields in its status; `undefined` takes a field away. */
export function withStatus(object: KubeObject, fields: Readonly<Record<string, unknown>>): KubeObject {
  const status = Object.fromEntries(
    Object.entries({ ...object.status, ...fields }).filter(([, value]) => value !== undefined),
  );
  return { ...object, status };
}
