/** Where changes are found, brought within reach. */
import type { Operation } from "../../runtime/core/operation.ts";
import type { DiffSource } from "./layer/engine.ts";
import type { SnapshotTrees } from "./snapshot_trees.ts";

/** Where changes are found, with all of its trees at their paths until it is disposed. */
export interface ReachedSource extends AsyncDisposable {
  readonly source: DiffSource;
}

/** A source whose trees are always at their paths. */
export function alwaysReached(source: DiffSource): ReachedSource {
  return { source, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** A whole tree and its parent's (absent: none), to be compared. */
export async function reachComparison(
  trees: SnapshotTrees,
  id: number,
  parentId: number | undefined,
  operation: Operation,
): Promise<ReachedSource> {
  await using reached = new AsyncDisposableStack();
  const tree = reached.use(await trees.reach(id, "read", operation)).path;
  const parent = parentId === undefined ? undefined : reached.use(await trees.reach(parentId, "read", operation)).path;
  const kept = reached.move();
  return {
    source: { kind: "compare", tree, ...(parent === undefined ? {} : { parent }) },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
