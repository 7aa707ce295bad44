/** Compares the rows of unions with the mount table and the helper directories. */
import { join } from "@std/path/posix";
import type { Operation } from "../core/operation.ts";
import { deleteUnionRow, unionRows } from "../union/union_rows.ts";
import { unionLock, type Unions } from "../union/union_service.ts";
import type { CurableFinding } from "./finding.ts";

/** The findings. Unions that an operation holds right now are left out. */
export async function checkUnions(unions: Unions, operation: Operation): Promise<CurableFinding[]> {
  const { store, locks, layout } = unions.room;
  const findings: CurableFinding[] = [];
  for (const row of unionRows(store)) {
    if (locks.isBusy(unionLock(row.target))) continue;
    if (row.state !== "ready") {
      findings.push({
        kind: "unfinished-operation",
        object: `union ${row.target}`,
        message: "It was begun and neither finished nor undone",
        repair: async () => {
          await unions.mounter.unmount(row, { lazy: false }, operation);
          await store.write((tx) => deleteUnionRow(tx, row.id), { frees: true });
        },
      });
      continue;
    }
    const presence = await unions.mounter.presence(row);
    if (presence === "foreign") {
      findings.push({
        kind: "foreign-mount",
        object: row.target,
        message: "Somebody has mounted something else where this union should be: unmount that, or the union",
      });
    } else if (presence !== "mounted") {
      findings.push({
        kind: "missing-mount",
        object: row.target,
        message: presence === "dead"
          ? `This union does not answer: its program ${row.program} has ended or is stuck`
          : "This union should be mounted, but is not",
        repair: () => unions.restore(row, operation),
      });
    }
  }
  for (const id of await unions.strayHelpers()) {
    findings.push({
      kind: "orphan-directory",
      object: join(layout.unions, id),
      message: "These helper mounts belong to no union",
      repair: () => unions.mounter.clearStray(id, operation),
    });
  }
  return findings;
}
