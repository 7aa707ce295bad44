/** The tree half of the layer engine: what reads, copies and deletes trees, each call a job of a worker. */
import type { DiffSource, LayerEngine } from "./engine.ts";
import type { JobTable } from "./jobs.ts";
import { removeTree } from "./remove_tree.ts";
import { hasGroup, setGroup } from "./set_group.ts";
import { sourceDateEpoch, type TreeTarJobSource } from "./tree_jobs.ts";
import { smallTreeUsage } from "./tree_usage.ts";
import type { Change, TarStream } from "./types.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { WorkerPool } from "./worker_pool.ts";

/** Those methods of {@linkcode LayerEngine}; `tar` without archives by recipe. */
export type TreeEngine =
  & Pick<LayerEngine, "changes" | "convertWhiteouts" | "copyTree" | "removeTree" | "setGroup" | "usage">
  & {
    tar(source: TreeTarJobSource, operation: Operation): TarStream;
  };

/** The methods on a pool of workers. */
export function createTreeEngine(pool: WorkerPool<JobTable>): TreeEngine {
  return {
    async *changes(source: DiffSource, operation: Operation) {
      for await (const batch of pool.items("changes", { source }, { slot: "stream", operation })) {
        yield* batch as Change[];
      }
    },
    tar: (source, operation) => {
      const clampMtime_s = sourceDateEpoch(Deno.env.get("SOURCE_DATE_EPOCH"));
      return pool.stream("tar", { source, clampMtime_s }, { slot: "stream", operation });
    },
    copyTree: (source, target, operation) => pool.run("copyTree", { source, target }, { slot: "tree", operation }),
    convertWhiteouts: (path, form, operation) =>
      pool.run("convertWhiteouts", { path, form }, { slot: "tree", operation }),
    async removeTree(path, operation) {
      if (!isQuicklyRemoved(path)) return await pool.run("removeTree", { path }, { slot: "tree", operation });
      operation.signal.throwIfAborted();
      removeTree(path);
    },
    async setGroup(request, operation) {
      operation.signal.throwIfAborted();
      if (request.onMismatch && hasGroup(request)) return { changed: 0, inodes: 0 };
      if (isSmall(request.path)) return setGroup(request);
      return await pool.run("setGroup", request, { slot: "tree", operation });
    },
    async usage(path, operation, written) {
      // Most RW layers are small, and a worker that has to be started first takes longer than measuring them.
      const small = written === undefined ? smallTreeUsage(path) : undefined;
      return small ?? await pool.run("usage", { path, written }, { slot: "tree", operation });
    },
  };
}

/** Whether walking a tree takes less time than starting a worker for it. */
function isSmall(path: string): boolean {
  try {
    return smallTreeUsage(path) !== undefined;
  } catch (error) {
    if (error instanceof LaminaError) return false;
    throw error;
  }
}

/** Space is given back in the caller's thread: so much takes no time to speak of. */
const QUICK_BYTES = 16 << 20;

/** Whether deleting a tree takes less time than starting a worker for it. */
function isQuicklyRemoved(path: string): boolean {
  try {
    const usage = smallTreeUsage(path);
    return usage !== undefined && usage.size_bytes <= QUICK_BYTES;
  } catch (error) {
    // Absent, or odd in a way that the worker will name.
    if (error instanceof LaminaError) return false;
    throw error;
  }
}
