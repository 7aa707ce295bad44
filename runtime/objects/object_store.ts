/** Objects in the store and in memory; every change is durable before anybody hears of it. */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import { LaminaError } from "../core/errors.ts";
import type { KubeObject, ObjectChange } from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";
import { kubeKind } from "../core/specs/kube/kinds.ts";
import { parseKubeObject } from "../core/specs/kube/parse_object.ts";
import type { Store, Transaction } from "../store/store.ts";
import { EventNotes } from "./event_notes.ts";
import { sameJson } from "./merge.ts";
import { deleteObjectRow, findObjectRow, nextResourceVersion, objectRows, putObjectRow } from "./object_rows.ts";
import type { ObjectEvent, ObjectStore } from "./port.ts";

/** Most objects of one root: all are held in memory. */
export const MAX_OBJECTS = 100_000;

/** What a write decides about one object. */
export interface Decision {
  /** The object as it shall be; the same as before: nothing changes; `undefined`: it goes. */
  readonly object: KubeObject | undefined;
  /** What was applied, as JSON. */
  readonly applied?: string;
}

/** Finalizers that an object has from its first moment, so that no crash leaves one without. */
const FIRST_FINALIZERS: Readonly<Record<string, string>> = {
  Pod: "lamina.dev/volumes",
  PersistentVolumeClaim: "kubernetes.io/pvc-protection",
  PersistentVolume: "kubernetes.io/pv-protection",
};

/** See the head of the file. */
export class Objects implements ObjectStore, Disposable {
  readonly #store: Store;
  readonly #byKind = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(change: ObjectChange) => void>();
  readonly #eventListeners = new Set<(event: ObjectEvent) => void>();
  readonly #events: EventNotes;
  #count = 0;

  /**
   * Reads all objects.
   *
   * @param report Receives what is wrong with a listener or a stored object; neither stops the others.
   * @throws `DATA_LOSS` when an object in the store cannot be read.
   */
  constructor(store: Store, private readonly report: (message: string) => void = () => {}) {
    this.#store = store;
    for (const row of objectRows(store)) this.#remember(readObject(row.json, row));
    this.#events = new EventNotes(store);
  }

  /** Events of these objects. */
  get events(): EventNotes {
    return this.#events;
  }

  /** See {@linkcode ObjectStore}. */
  get({ kind, namespace, name }: ObjectKey): KubeObject | undefined {
    return this.#byKind.get(kind)?.get(idOf(namespace, name));
  }

  /** What was last applied for an object, as JSON. */
  appliedOf(key: ObjectKey): string | null {
    return findObjectRow(this.#store, key)?.applied ?? null;
  }

  /** See {@linkcode ObjectStore}. By namespace and name. */
  list(kind: string, namespace?: string): KubeObject[] {
    const all = [...this.#byKind.get(kind)?.values() ?? []];
    const some = namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
    return some.sort((a, b) => compare(idOfObject(a), idOfObject(b)));
  }

  /** See {@linkcode ObjectStore}. */
  update(key: ObjectKey, change: (object: KubeObject) => KubeObject): Promise<KubeObject | undefined> {
    return this.decide(key, (current) => {
      if (current === undefined) return { object: undefined };
      const next = change(current);
      return { object: next === current ? current : keepIdentity(current, next) };
    });
  }

  /** See {@linkcode ObjectStore}. The object is checked like one that is applied. */
  async create(
    object: Omit<KubeObject, "metadata"> & { metadata: { name: string; namespace?: string } },
  ): Promise<KubeObject> {
    const { object: parsed } = parseKubeObject(object);
    const key = keyOf(parsed as unknown as KubeObject);
    const made = await this.decide(key, (current) => {
      if (current !== undefined) {
        throw new LaminaError("ALREADY_EXISTS", `Cannot create ${key.kind} "${key.name}": it exists already`);
      }
      return { object: newObject(parsed as unknown as KubeObject) };
    });
    return made!;
  }

  /** See {@linkcode ObjectStore}. */
  async delete(key: ObjectKey, operation: Operation, options: { readonly grace_s?: number } = {}): Promise<void> {
    operation.signal.throwIfAborted();
    await this.decide(key, (current) => {
      if (current === undefined) return { object: undefined };
      if ((current.metadata.finalizers ?? []).length === 0) return { object: undefined };
      return { object: beingDeleted(current, options.grace_s) };
    }, { frees: true });
  }

  /**
   * Changes one object by a decision on its newest state.
   *
   * @param decide Pure; may be called again.
   * @returns the stored object; `undefined`: there is none.
   */
  async decide(
    key: ObjectKey,
    decide: (current: KubeObject | undefined, applied: string | null) => Decision,
    options: { readonly frees?: boolean } = {},
  ): Promise<KubeObject | undefined> {
    const { change, object } = await this.#store.write((tx) => this.#decideIn(tx, key, decide), options);
    if (change !== undefined) {
      if (change.type === "deleted") this.#forget(change.object);
      else this.#remember(change.object);
      this.#tell(change);
    }
    return object;
  }

  /** See {@linkcode ObjectStore}. */
  watch(listener: (change: ObjectChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** See {@linkcode ObjectStore}. */
  event(event: ObjectEvent): void {
    this.#events.note(event);
    for (const listener of this.#eventListeners) listener(event);
  }

  /** Called for each event, counted or new. @returns stops it. */
  watchEvents(listener: (event: ObjectEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Writes what is noted and not written yet. */
  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#events[Symbol.dispose]();
  }

  #decideIn(
    tx: Transaction,
    key: ObjectKey,
    decide: (current: KubeObject | undefined, applied: string | null) => Decision,
  ): { change?: ObjectChange; object: KubeObject | undefined } {
    const row = findObjectRow(tx, key);
    const known = this.get(key);
    const current = row === undefined
      ? undefined
      : known?.metadata.resourceVersion === String(row.resource_version)
      ? known
      : readObject(row.json, row);
    const { object, applied } = decide(current, row?.applied ?? null);
    const gone = object === undefined || isFinished(object);
    if (gone) {
      if (current === undefined) return { object: undefined };
      deleteObjectRow(tx, key);
      const resourceVersion = nextResourceVersion(tx);
      const last = { ...object ?? current, metadata: { ...(object ?? current).metadata, resourceVersion } };
      return { change: { type: "deleted", object: deepFreeze(last) }, object: undefined };
    }
    if (current !== undefined && sameJson(current, object)) {
      if (applied !== undefined && applied !== row?.applied) putObjectRow(tx, current, applied);
      return { object: current };
    }
    if (current === undefined && this.#count >= MAX_OBJECTS) {
      throw new LaminaError(
        "RESOURCE_EXHAUSTED",
        `Cannot create ${key.kind} "${key.name}": there are ${MAX_OBJECTS} objects already`,
      );
    }
    const metadata = { ...object.metadata, resourceVersion: nextResourceVersion(tx) };
    const stored = deepFreeze({ ...object, metadata });
    putObjectRow(tx, stored, applied);
    return { change: { type: current === undefined ? "added" : "modified", object: stored }, object: stored };
  }

  #remember(object: KubeObject): void {
    const objects = this.#byKind.get(object.kind) ?? new Map<string, KubeObject>();
    this.#byKind.set(object.kind, objects);
    const id = idOfObject(object);
    if (!objects.has(id)) this.#count++;
    objects.set(id, object);
  }

  #forget(object: KubeObject): void {
    if (this.#byKind.get(object.kind)?.delete(idOfObject(object))) this.#count--;
  }

  #tell(change: ObjectChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.report(`A listener failed at ${change.object.kind} "${change.object.metadata.name}": ${String(error)}`);
      }
    }
  }
}

/** What a new object has besides what its author said. */
export function newObject(object: KubeObject): KubeObject {
  const kind = kubeKind(object.kind)!;
  const { resourceVersion: _, deletionTimestamp: __, namespace, ...metadata } = object.metadata;
  const first = FIRST_FINALIZERS[object.kind];
  const finalizers = [...new Set([...metadata.finalizers ?? [], ...first === undefined ? [] : [first]])];
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(kind.namespaced ? { namespace: namespace ?? "default" } : {}),
      uid: crypto.randomUUID(),
      resourceVersion: "0",
      creationTimestamp: new Date().toISOString(),
      ...(finalizers.length === 0 ? {} : { finalizers }),
    },
  };
}

/** The key of an object; without a namespace where its kind has one: `default`. */
export function keyOf(object: { kind: string; metadata: { name: string; namespace?: string } }): ObjectKey {
  const namespaced = kubeKind(object.kind)?.namespaced ?? true;
  const { name, namespace = "default" } = object.metadata;
  return { kind: object.kind, namespace: namespaced ? namespace : "", name };
}

/** What nobody changes. */
function keepIdentity(current: KubeObject, next: KubeObject): KubeObject {
  const { name, namespace, uid, creationTimestamp, resourceVersion } = current.metadata;
  const metadata = { ...next.metadata, name, uid, creationTimestamp, resourceVersion };
  return {
    ...next,
    apiVersion: current.apiVersion,
    kind: current.kind,
    metadata: namespace === undefined ? metadata : { ...metadata, namespace },
  };
}

/** Being deleted, and nobody holds it any more. */
function isFinished({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
}

function readObject(json: string, { kind, namespace, name }: ObjectKey): KubeObject {
  try {
    const object = JSON.parse(json) as KubeObject;
    if (object.kind === kind && object.metadata.name === name && (object.metadata.namespace ?? "") === namespace) {
      return deepFreeze(object);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
  }
  throw new LaminaError("DATA_LOSS", `The stored ${kind} "${name}" is damaged. Restore the database from a backup`, {
    details: { kind, namespace, name },
  });
}

function idOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function idOfObject({ metadata }: KubeObject): string {
  return idOf(metadata.namespace ?? "", metadata.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What many are given is nobody's to change. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

/** The same object where nothing is new: it has been marked, and is given no less time than before. */
function beingDeleted(current: KubeObject, grace_s: number | undefined): KubeObject {
  const { deletionTimestamp, deletionGracePeriodSeconds: before_s } = current.metadata;
  const isLess = grace_s !== undefined && grace_s < (before_s ?? Infinity);
  if (deletionTimestamp !== undefined && !isLess) return current;
  const metadata = { ...current.metadata, deletionTimestamp: deletionTimestamp ?? new Date().toISOString() };
  return { ...current, metadata: isLess ? { ...metadata, deletionGracePeriodSeconds: grace_s } : metadata };
}
