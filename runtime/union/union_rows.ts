/** Unions in the database. */
import type { Branch } from "../../drivers/storage/aufs/branch_union.ts";
import type { UnionProgram } from "../../drivers/storage/aufs/branch_union_mounts.ts";
import type { Reader, Transaction } from "../store/store.ts";

/** A union, as it was asked for. */
export interface UnionRow {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** Canonical. */
  readonly target: string;
  /** Canonical directories, topmost first. */
  readonly branches: readonly Branch[];
  readonly program: UnionProgram;
  /** Directory beside a branch that the program needs. */
  readonly work?: string;
  /** Mounted, or to be mounted, while `ready`. */
  readonly state: "creating" | "ready" | "removing";
  /** Milliseconds since the epoch. */
  readonly createdAt_ms: number;
}

interface StoredRow {
  readonly id: string;
  readonly target: string;
  readonly branches: string;
  readonly program: UnionProgram;
  readonly work: string | null;
  readonly state: UnionRow["state"];
  readonly created_at_ms: number;
}

/** All, by target. */
export function unionRows(reader: Reader): UnionRow[] {
  return reader.all<StoredRow>("SELECT * FROM unions ORDER BY target").map(rowOf);
}

/** The one at a target. */
export function findUnionRow(reader: Reader, target: string): UnionRow | undefined {
  const row = reader.get<StoredRow>("SELECT * FROM unions WHERE target = ?", target);
  return row === undefined ? undefined : rowOf(row);
}

/** The one with that id or target. */
export function findUnion(reader: Reader, name: string): UnionRow | undefined {
  const row = reader.get<StoredRow>("SELECT * FROM unions WHERE id = ?", name);
  return row === undefined ? findUnionRow(reader, name) : rowOf(row);
}

/** Adds a union. */
export function insertUnionRow(tx: Transaction, row: UnionRow): void {
  tx.run(
    "INSERT INTO unions (id, target, branches, program, work, state, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    row.id,
    row.target,
    JSON.stringify(row.branches),
    row.program,
    row.work ?? null,
    row.state,
    row.createdAt_ms,
  );
}

/** Moves a union on. */
export function setUnionState(tx: Transaction, id: string, state: UnionRow["state"]): void {
  tx.run("UPDATE unions SET state = ? WHERE id = ?", state, id);
}

/** Forgets a union. */
export function deleteUnionRow(tx: Transaction, id: string): void {
  tx.run("DELETE FROM unions WHERE id = ?", id);
}

function rowOf({ branches, work, created_at_ms, ...row }: StoredRow): UnionRow {
  return { ...row, branches: JSON.parse(branches), work: work ?? undefined, createdAt_ms: created_at_ms };
}
