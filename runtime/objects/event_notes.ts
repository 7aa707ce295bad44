/** Events of objects: those that are equal but for numbers are counted, with the newest message; the newest are kept. */
import type { ObjectEventRecord } from "../core/model/object.ts";
import { kubeKind } from "../core/specs/kube/kinds.ts";
import type { Store } from "../store/store.ts";
import { deleteEventRow, eventRows, putEventRow } from "./object_rows.ts";
import type { ObjectEvent } from "./port.ts";

/** How many are kept. */
export const MAX_EVENTS = 1000;
/** Longest message. */
const MAX_MESSAGE = 1024;
/** Notes are written together, this long after the first of them. A crash loses no more than these. */
const WRITE_AFTER_MS = 1000;

interface Kept {
  readonly id: number;
  readonly event: ObjectEventRecord;
}

/** Numbers that stand alone: bytes, mostly, which differ at each try of what fails for the same reason. */
const NUMBERS = /(?<=^|\s)\d{4,}(?=[\s,.:;]|$)/g;

/** See the head of the file. */
export class EventNotes implements Disposable {
  readonly #store: Store;
  /** By what makes events equal; the one that happened last is last. */
  readonly #kept = new Map<string, Kept>();
  readonly #changed = new Map<number, ObjectEventRecord | undefined>();
  #lastId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(store: Store) {
    this.#store = store;
    const rows = eventRows(store).sort((a, b) => a.event.lastTimestamp < b.event.lastTimestamp ? -1 : 1);
    for (const { id, event } of rows) {
      this.#kept.set(identity(event), { id, event });
      this.#lastId = Math.max(this.#lastId, id);
    }
  }

  /** Notes an event. Never waits, never fails. */
  note({ about, type, reason, message }: ObjectEvent): void {
    if (this.#closed) return;
    const now = new Date().toISOString();
    const { kind, namespace, name, uid } = about;
    const fresh: ObjectEventRecord = {
      involvedObject: {
        kind,
        ...(namespace === "" || !(kubeKind(kind)?.namespaced ?? true) ? {} : { namespace }),
        name,
        ...(uid === undefined ? {} : { uid }),
      },
      type,
      reason,
      message: message.slice(0, MAX_MESSAGE),
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
    };
    const key = identity(fresh);
    const known = this.#kept.get(key);
    this.#kept.delete(key);
    const kept = known === undefined ? { id: ++this.#lastId, event: fresh } : {
      id: known.id,
      event: { ...known.event, message: fresh.message, count: known.event.count + 1, lastTimestamp: now },
    };
    this.#kept.set(key, kept);
    this.#changed.set(kept.id, kept.event);
    for (const [oldest, { id }] of this.#kept) {
      if (this.#kept.size <= MAX_EVENTS) break;
      this.#kept.delete(oldest);
      this.#changed.set(id, undefined);
    }
    this.#timer ??= setTimeout(() => this.#write(), WRITE_AFTER_MS);
  }

  /** Those that fit, the one that happened last is last. */
  list(filter: { kind?: string; namespace?: string; name?: string; uid?: string } = {}): ObjectEventRecord[] {
    return [...this.#kept.values()].map(({ event }) => event).filter(({ involvedObject: about }) =>
      (filter.kind ?? about.kind) === about.kind && (filter.name ?? about.name) === about.name &&
      (filter.namespace ?? about.namespace) === about.namespace && (filter.uid ?? about.uid) === about.uid
    );
  }

  /** Writes what is not written yet. */
  [Symbol.dispose](): void {
    this.#write();
    this.#closed = true;
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#changed.size === 0) return;
    const changed = [...this.#changed];
    this.#changed.clear();
    const written = this.#store.write((tx) => {
      for (const [id, event] of changed) {
        if (event === undefined) deleteEventRow(tx, id);
        else putEventRow(tx, id, event);
      }
    }, { frees: true });
    // On a full or failing disk the notes stay in memory; the next of them tries again with all.
    written.catch(() => {
      for (const [id, event] of changed) {
        if (!this.#changed.has(id)) this.#changed.set(id, event);
      }
    });
  }
}

function identity({ involvedObject: about, type, reason, message }: ObjectEventRecord): string {
  const { kind, namespace, name, uid } = about;
  return JSON.stringify([kind, namespace, name, uid, type, reason, message.replace(NUMBERS, "#")]);
}
