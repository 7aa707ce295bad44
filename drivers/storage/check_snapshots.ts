/** Compares the rows of a driver with its trees and with the mount table. */
import { messageOf } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import type { Finding } from "./port.ts";
import type { SnapshotRow, SnapshotStore } from "./snapshot_store.ts";
import type { RepairableFinding, SnapshotTrees, TreeListing } from "./snapshot_trees.ts";

/** What is compared. */
export interface CheckedParts {
  readonly rows: SnapshotStore;
  readonly trees: SnapshotTrees;
  readonly mounter: Mounter;
  /** Ids that operations are making right now. */
  readonly making: ReadonlySet<number>;
}

/**
 * The findings; with `repair` those that can be repaired are. One that resisted says so in its message.
 * Operations may go on meanwhile: what they are about to make or remove is no finding.
 */
export async function checkSnapshots(
  parts: CheckedParts,
  options: { readonly repair: boolean },
  operation: Operation,
): Promise<Finding[]> {
  // Rows first: a tree is there before its row is.
  const rows = [...parts.rows.rows()];
  const listing = await parts.trees.list(operation);
  const findings: RepairableFinding[] = [
    // Unmounted before they are deleted.
    ...staleMounts(parts, operation),
    ...await orphans(parts, listing, operation),
    ...rows.flatMap((row) => missing(parts, row, listing)),
    ...listing.strangers.map((name) => stranger(name)),
    ...await parts.trees.check(rows, operation, listing),
    ...unfreed(parts, operation),
  ];
  const told: Finding[] = [];
  for (const { repair, ...finding } of findings) {
    if (!options.repair || repair === undefined) {
      told.push(finding);
      continue;
    }
    operation.signal.throwIfAborted();
    try {
      await repair();
      told.push(finding);
    } catch (error) {
      told.push({ ...finding, message: `${finding.message}. Not repaired: ${messageOf(error)}` });
    }
  }
  return told;
}

async function orphans(
  { rows, trees, making }: CheckedParts,
  listing: TreeListing,
  operation: Operation,
): Promise<RepairableFinding[]> {
  const known = rows.ids();
  const suspects = [...listing.ids].filter((id) => !known.has(id) && !making.has(id));
  if (suspects.length === 0) return [];
  // A removal takes the row first and the tree a moment later: what is still there has been left.
  const later = (await trees.list(operation)).ids;
  return suspects.filter((id) => later.has(id) && !making.has(id) && !rows.ids().has(id)).map((id) => ({
    kind: `orphan-${trees.noun}`,
    object: trees.nameOf(id),
    message: `No snapshot owns this ${trees.noun}`,
    repairable: true,
    repair: async () => {
      await trees.discard(id);
      await trees.freeDiscarded(operation);
    },
  }));
}

function missing({ rows, trees }: CheckedParts, row: SnapshotRow, listing: TreeListing): RepairableFinding[] {
  if (row.kind === "view" || trees.isWhole(row.id, listing)) return [];
  // Removed since the rows were read, or committed and so known by another name.
  if (rows.find(row.key)?.id !== row.id) return [];
  return [{
    kind: `missing-${trees.noun}`,
    object: trees.nameOf(row.id),
    message: `The files of the ${row.kind} snapshot "${row.key}" are gone. Remove what uses it and ` +
      `${row.kind === "committed" ? "import the image again" : "create it again"}`,
    repairable: false,
  }];
}

function staleMounts({ rows, trees, mounter }: CheckedParts, operation: Operation): RepairableFinding[] {
  const mounts = trees.shownBy(readMountTable());
  if (mounts.length === 0) return [];
  const known = rows.ids();
  // Topmost first: what was mounted last goes first.
  return mounts.filter(({ id }) => !known.has(id)).reverse().map(({ target }) => ({
    kind: "stale-mount",
    object: target,
    message: "A snapshot that does not exist any more is mounted here",
    repairable: true,
    repair: () => mounter.unmount([target], { signal: operation.signal }),
  }));
}

function stranger(name: string): Finding {
  return {
    kind: "unknown-file",
    object: name,
    message: "Lamina did not make this; move it out of the storage driver's place",
    repairable: false,
  };
}

function unfreed({ trees }: CheckedParts, operation: Operation): RepairableFinding[] {
  const failure = trees.freeingFailure;
  if (failure === undefined) return [];
  return [{
    kind: `undeleted-${trees.noun}`,
    object: failure.object,
    message: `What removed snapshots left could not be deleted: ${failure.message}`,
    repairable: true,
    repair: () => trees.freeDiscarded(operation),
  }];
}
