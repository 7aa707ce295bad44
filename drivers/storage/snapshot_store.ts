/**
 * The rows of snapshots and the rules they keep: one namespace of keys per driver, parents are committed, a parent is
 * not removed before its children. Every driver that keeps its rows in the store uses this.
 */
import { LaminaError } from "../../runtime/core/errors.ts";
import type { SnapshotKey } from "../../runtime/core/ids.ts";
import type { Reader, Store, Transaction } from "../../runtime/store/store.ts";
import type { SnapshotFilter, SnapshotInfo, SnapshotKind, StorageDriverName, Usage } from "./port.ts";

/** Labels of a snapshot. */
export type SnapshotLabels = Readonly<Record<string, string>>;

/** A row with what only drivers see. */
export interface SnapshotRow extends SnapshotInfo {
  /** Never given twice: name of the directory, device or subvolume. */
  readonly id: number;
  readonly parentId?: number;
  /** Known for committed snapshots. */
  readonly usage?: Usage;
}

/** A row to be. */
export interface NewSnapshot {
  /** From {@linkcode SnapshotStore.reserveId}. */
  readonly id: number;
  readonly key: SnapshotKey;
  readonly kind: SnapshotKind;
  readonly parent?: SnapshotKey;
  readonly labels?: SnapshotLabels;
  readonly usage?: Usage;
  readonly limit_bytes?: number;
  readonly limit_inodes?: number;
}

interface RawRow {
  id: number;
  key: string;
  kind: SnapshotKind;
  parent_id: number | null;
  parent: string | null;
  labels: string;
  size_bytes: number | null;
  inodes: number | null;
  limit_bytes: number | null;
  limit_inodes: number | null;
  created_at_ms: number;
  updated_at_ms: number;
}

const SELECT = `SELECT s.id, s.key, s.kind, s.parent_id, p.key AS parent, s.labels, s.size_bytes, s.inodes,
  s.limit_bytes, s.limit_inodes, s.created_at_ms, s.updated_at_ms FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent_id`;
const PAGE_ROWS = 500;

// The last id given, which may not be written yet. All drivers of a store share one table, and so one counter.
const lastIds = new WeakMap<Store, number>();

/** See the head of the file. Methods that take a transaction run in the caller's write. */
export class SnapshotStore {
  constructor(readonly store: Store, readonly driver: StorageDriverName) {}

  /**
   * An id that no row has or ever had. A process that dies before its row is committed leaves a directory that the
   * next start removes before it gives the same id again.
   */
  reserveId(): number {
    const written = this.store.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'")?.seq ??
      0;
    const last = Math.max(written, lastIds.get(this.store) ?? 0);
    lastIds.set(this.store, last + 1);
    return last + 1;
  }

  /** A name of this store that no other has; made on first use. */
  identity(): Promise<string> {
    return this.store.write((tx) => {
      tx.run("INSERT OR IGNORE INTO settings (key, value) VALUES ('store_identity', ?)", crypto.randomUUID());
      return tx.get<{ value: string }>("SELECT value FROM settings WHERE key = 'store_identity'")!.value;
    });
  }

  /** The row of a key or name, if there is one. */
  find(key: string, reader: Reader = this.store): SnapshotRow | undefined {
    const raw = reader.get<RawRow>(`${SELECT} WHERE s.driver = ? AND s.key = ?`, this.driver, key);
    return raw && rowOf(raw);
  }

  /**
   * The row of a key or name.
   *
   * @param attempted E.g. `remove`, for the message.
   * @throws `NOT_FOUND`
   */
  get(key: string, attempted: string, reader: Reader = this.store): SnapshotRow {
    const row = this.find(key, reader);
    if (row !== undefined) return row;
    throw new LaminaError("NOT_FOUND", `Cannot ${attempted} snapshot "${key}": there is none of that name`);
  }

  /**
   * The row of a parent to be.
   *
   * @throws `NOT_FOUND`; `CONFLICT` when it is not committed.
   */
  getParent(parent: string, attempted: string, reader: Reader = this.store): SnapshotRow {
    const row = this.find(parent, reader);
    if (row === undefined) {
      throw new LaminaError("NOT_FOUND", `Cannot ${attempted}: there is no parent snapshot "${parent}"`);
    }
    if (row.kind !== "committed") {
      throw new LaminaError(
        "CONFLICT",
        `Cannot ${attempted}: its parent "${parent}" is ${named(row.kind)}. Only a committed snapshot can be a parent`,
      );
    }
    return row;
  }

  /** Ids of a committed snapshot and its ancestors, topmost first. Empty for `undefined`. */
  chain(topId: number | undefined): number[] {
    if (topId === undefined) return [];
    return this.store.all<{ id: number }>(
      `WITH RECURSIVE chain (id, parent_id, depth) AS (
         SELECT id, parent_id, 0 FROM snapshots WHERE id = ?
         UNION ALL SELECT s.id, s.parent_id, depth + 1 FROM snapshots s JOIN chain ON s.id = chain.parent_id
       ) SELECT id FROM chain ORDER BY depth`,
      topId,
    ).map(({ id }) => id);
  }

  /** @throws `ALREADY_EXISTS` */
  refuseExisting(key: string, attempted: string, reader: Reader = this.store): void {
    const row = this.find(key, reader);
    if (row === undefined) return;
    throw new LaminaError(
      "ALREADY_EXISTS",
      `Cannot ${attempted} snapshot "${key}": ${named(row.kind)} of that name exists. Remove it or use another name`,
    );
  }

  /**
   * Adds a row.
   *
   * @throws `ALREADY_EXISTS`, `NOT_FOUND` or `CONFLICT` (parent).
   */
  insert(tx: Transaction, snapshot: NewSnapshot, attempted: string): void {
    this.refuseExisting(snapshot.key, attempted, tx);
    const parentId = snapshot.parent === undefined
      ? null
      : this.getParent(snapshot.parent, `${attempted} snapshot "${snapshot.key}"`, tx).id;
    const now = Date.now();
    tx.run(
      `INSERT INTO snapshots (id, driver, key, kind, parent_id, labels, size_bytes, inodes, limit_bytes, limit_inodes,
         created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      snapshot.id,
      this.driver,
      snapshot.key,
      snapshot.kind,
      parentId,
      JSON.stringify(snapshot.labels ?? {}),
      snapshot.usage?.size_bytes ?? null,
      snapshot.usage?.inodes ?? null,
      snapshot.limit_bytes ?? null,
      snapshot.limit_inodes ?? null,
      now,
      now,
    );
  }

  /**
   * The row of an active snapshot that is about to be committed as `name`.
   *
   * @throws `NOT_FOUND`, `CONFLICT` (not active), `ALREADY_EXISTS`.
   */
  getCommittable(key: string, name: string, reader: Reader = this.store): SnapshotRow {
    const row = this.get(key, "commit", reader);
    if (row.kind !== "active") {
      throw new LaminaError(
        "CONFLICT",
        `Cannot commit snapshot "${key}": it is ${named(row.kind)}. Only an active snapshot can be committed`,
      );
    }
    this.refuseExisting(name, `commit "${key}" as`, reader);
    return row;
  }

  /**
   * The row of an active snapshot.
   *
   * @throws `NOT_FOUND`, `CONFLICT` (not active).
   */
  getActive(key: string, attempted: string, reader: Reader = this.store): SnapshotRow {
    const row = this.get(key, attempted, reader);
    if (row.kind === "active") return row;
    throw new LaminaError(
      "CONFLICT",
      `Cannot ${attempted} snapshot "${key}": it is ${named(row.kind)}, not an active snapshot`,
    );
  }

  /** Notes the limit of the active snapshot `key`, which still has to be the one with that id. */
  setLimit(tx: Transaction, key: string, id: number, limit_bytes: number): SnapshotRow {
    const row = this.getActive(key, "limit", tx);
    if (row.id !== id) {
      throw new LaminaError("CONFLICT", `Cannot limit snapshot "${key}": it was replaced meanwhile. Try again`);
    }
    const updatedAt_ms = Math.max(Date.now(), row.updatedAt_ms);
    tx.run("UPDATE snapshots SET limit_bytes = ?, updated_at_ms = ? WHERE id = ?", limit_bytes, updatedAt_ms, id);
    return { ...row, limit_bytes, updatedAt_ms };
  }

  /** Turns an active row into a committed one. Its labels are those given now, as in containerd. */
  commit(tx: Transaction, key: string, name: SnapshotKey, usage: Usage, labels: SnapshotLabels): void {
    const row = this.getCommittable(key, name, tx);
    tx.run(
      `UPDATE snapshots SET key = ?, kind = 'committed', labels = ?, size_bytes = ?, inodes = ?, limit_bytes = NULL,
         limit_inodes = NULL, updated_at_ms = ? WHERE id = ?`,
      name,
      JSON.stringify(labels),
      usage.size_bytes,
      usage.inodes,
      Math.max(Date.now(), row.updatedAt_ms),
      row.id,
    );
  }

  /**
   * Deletes a row.
   *
   * @throws `NOT_FOUND`; `CONFLICT` while it has children (the message names up to three).
   */
  remove(tx: Transaction, key: string): SnapshotRow {
    const row = this.get(key, "remove", tx);
    const children = tx.all<{ key: string }>(
      "SELECT key FROM snapshots WHERE parent_id = ? ORDER BY id LIMIT 4",
      row.id,
    );
    if (children.length > 0) {
      const names = children.slice(0, 3).map((child) => `"${child.key}"`).join(", ");
      throw new LaminaError(
        "CONFLICT",
        `Cannot remove snapshot "${key}": ${names}${children.length > 3 ? " and others" : ""} ` +
          `${children.length === 1 ? "is" : "are"} made on it. Remove what is made on it first`,
        { details: { children: children.slice(0, 3).map((child) => child.key) } },
      );
    }
    tx.run("DELETE FROM snapshots WHERE id = ?", row.id);
    return row;
  }

  /** Replaces the labels; those with an empty value go. */
  update(tx: Transaction, key: string, labels: SnapshotLabels): SnapshotRow {
    const row = this.get(key, "update", tx);
    const kept = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
    const updatedAt_ms = Math.max(Date.now(), row.updatedAt_ms);
    tx.run(
      "UPDATE snapshots SET labels = ?, updated_at_ms = ? WHERE id = ?",
      JSON.stringify(kept),
      updatedAt_ms,
      row.id,
    );
    return { ...row, labels: kept, updatedAt_ms };
  }

  /** Notes the usage of a committed snapshot. */
  setUsage(tx: Transaction, id: number, usage: Usage): void {
    tx.run("UPDATE snapshots SET size_bytes = ?, inodes = ? WHERE id = ?", usage.size_bytes, usage.inodes, id);
  }

  /** Rows in the order of their making, read page by page: what changes meanwhile may or may not be seen. */
  *rows(filter: SnapshotFilter = {}): Iterable<SnapshotRow> {
    for (let after = 0;;) {
      const page = this.store.all<RawRow>(
        `${SELECT} WHERE s.driver = ?1 AND s.id > ?2 AND (?3 IS NULL OR s.kind = ?3)
           AND (?4 IS NULL OR coalesce(p.key, '') = ?4) AND (?5 IS NULL OR substr(s.key, 1, length(?5)) = ?5)
         ORDER BY s.id LIMIT ${PAGE_ROWS}`,
        this.driver,
        after,
        filter.kind ?? null,
        filter.parent ?? null,
        filter.keyPrefix ?? null,
      );
      for (const row of page.map(rowOf)) if (hasLabels(row.labels, filter.labels ?? {})) yield row;
      if (page.length < PAGE_ROWS) return;
      after = page.at(-1)!.id;
    }
  }

  /** Ids of all rows of this driver. */
  ids(): Set<number> {
    const rows = this.store.all<{ id: number }>("SELECT id FROM snapshots WHERE driver = ?", this.driver);
    return new Set(rows.map(({ id }) => id));
  }
}

/** What callers of the port see of a row. */
export function infoOf(row: SnapshotRow): SnapshotInfo {
  const { key, kind, parent, labels, limit_bytes, limit_inodes, createdAt_ms, updatedAt_ms } = row;
  return {
    key,
    kind,
    ...(parent === undefined ? {} : { parent }),
    labels,
    ...(limit_bytes === undefined ? {} : { limit_bytes }),
    ...(limit_inodes === undefined ? {} : { limit_inodes }),
    createdAt_ms,
    updatedAt_ms,
  };
}

function rowOf(raw: RawRow): SnapshotRow {
  return {
    id: raw.id,
    key: raw.key as SnapshotKey,
    kind: raw.kind,
    parentId: raw.parent_id ?? undefined,
    parent: (raw.parent ?? undefined) as SnapshotKey | undefined,
    labels: JSON.parse(raw.labels),
    usage: raw.size_bytes === null || raw.inodes === null
      ? undefined
      : { size_bytes: raw.size_bytes, inodes: raw.inodes },
    limit_bytes: raw.limit_bytes ?? undefined,
    limit_inodes: raw.limit_inodes ?? undefined,
    createdAt_ms: raw.created_at_ms,
    updatedAt_ms: raw.updated_at_ms,
  };
}

function hasLabels(labels: SnapshotLabels, wanted: SnapshotLabels): boolean {
  return Object.entries(wanted).every(([key, value]) =>
    Object.hasOwn(labels, key) && (value === "" || labels[key] === value)
  );
}

/** With its article, for messages. */
function named(kind: SnapshotKind): string {
  return { committed: "a committed snapshot", active: "an active snapshot", view: "a view" }[kind];
}
