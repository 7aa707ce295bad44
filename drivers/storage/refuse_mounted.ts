/** What is mounted is neither committed nor removed. */
import { LaminaError } from "../../runtime/core/errors.ts";
import { readMountTableOnce } from "../../runtime/host/mount_table.ts";
import type { SnapshotRow } from "./snapshot_store.ts";
import type { SnapshotTrees } from "./snapshot_trees.ts";

/** @throws `CONFLICT` naming where the snapshot is mounted. */
export function refuseMounted(trees: SnapshotTrees, row: SnapshotRow, verb: string): void {
  const mount = trees.shownBy(readMountTableOnce()).find(({ id }) => id === row.id);
  if (mount === undefined) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot ${verb} snapshot "${row.key}": it is mounted at ${mount.target}. Unmount it first`,
    { details: { target: mount.target } },
  );
}
