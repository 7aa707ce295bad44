/** Applied objects and their events in the database. */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import type { KubeObject, ObjectEventRecord } from "../core/model/object.ts";
import type { Reader, Transaction } from "../store/store.ts";

/** A row of the table `objects`. */
export interface ObjectRow {
  readonly kind: string;
  /** Empty for objects of the cluster. */
  readonly namespace: string;
  readonly name: string;
  readonly resource_version: number;
  readonly json: string;
  /** What was last applied, as JSON; NULL for what a controller made. */
  readonly applied: string | null;
}

/** All, in no particular order. */
export function objectRows(reader: Reader): ObjectRow[] {
  return reader.all<ObjectRow>("SELECT kind, namespace, name, resource_version, json, applied FROM objects");
}

/** The row of one object. */
export function findObjectRow(reader: Reader, { kind, namespace, name }: ObjectKey): ObjectRow | undefined {
  return reader.get<ObjectRow>(
    `SELECT kind, namespace, name, resource_version, json, applied FROM objects
     WHERE kind = ? AND namespace = ? AND name = ?`,
    kind,
    namespace,
    name,
  );
}

/** Writes an object, new or changed. @param applied Absent: what is there stays. */
export function putObjectRow(tx: Transaction, object: KubeObject, applied?: string): void {
  const { namespace = "", name, uid, resourceVersion } = object.metadata;
  tx.run(
    `INSERT INTO objects (kind, namespace, name, uid, resource_version, json, applied) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (kind, namespace, name) DO UPDATE SET
       resource_version = excluded.resource_version, json = excluded.json,
       applied = COALESCE(excluded.applied, objects.applied)`,
    object.kind,
    namespace,
    name,
    uid,
    Number(resourceVersion),
    JSON.stringify(object),
    applied ?? null,
  );
}

/** Forgets an object. */
export function deleteObjectRow(tx: Transaction, { kind, namespace, name }: ObjectKey): void {
  tx.run("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", kind, namespace, name);
}

/** The next number of the root's count of changes. */
export function nextResourceVersion(tx: Transaction): string {
  const { version } = tx.get<{ version: number }>(
    "UPDATE object_version SET version = version + 1 RETURNING version",
  )!;
  return String(version);
}

/** Events, oldest first. */
export function eventRows(reader: Reader): Array<{ id: number; event: ObjectEventRecord }> {
  return reader.all<{ id: number; json: string }>("SELECT id, json FROM object_events ORDER BY id")
    .map(({ id, json }) => ({ id, event: JSON.parse(json) }));
}

/** Writes an event; the same id again replaces it. */
export function putEventRow(tx: Transaction, id: number, event: ObjectEventRecord): void {
  tx.run(
    "INSERT INTO object_events (id, json) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
    id,
    JSON.stringify(event),
  );
}

/** Forgets events. */
export function deleteEventRow(tx: Transaction, id: number): void {
  tx.run("DELETE FROM object_events WHERE id = ?", id);
}
