/** The layer engine on a pool of workers. */
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { onEnd } from "../../../runtime/core/streams.ts";
import { ChunkRing, ringMemory } from "./chunk_ring.ts";
import type { LayerEngine, TarSource, UnpackRequest } from "./engine.ts";
import type { JobTable } from "./jobs.ts";
import { unfinishedRecipes } from "./recipe_writer.ts";
import { createTreeEngine } from "./tree_engine.ts";
import { type AppliedLayer, DEFAULT_LAYER_LIMITS, type LayerLimits, type TarStream } from "./types.ts";
import { WorkerPool, type WorkerPoolOptions } from "./worker_pool.ts";

/** Settings of an engine. */
export interface LayerEngineOptions extends WorkerPoolOptions {
  /** Limits for requests that name none. */
  readonly limits?: Partial<LayerLimits>;
}

/** An engine whose workers start with the first job and end some seconds after the last. */
export function createLayerEngine(options: LayerEngineOptions = {}): LayerEngine {
  const pool = new WorkerPool<JobTable>(new URL("./layer_worker.ts", import.meta.url), options);
  const trees = createTreeEngine(pool);
  const limits = (own?: Partial<LayerLimits>) => ({ ...DEFAULT_LAYER_LIMITS, ...options.limits, ...own });
  return {
    unpack: (request, operation) => unpack(pool, request, limits(request.limits), operation),
    unpackInto({ stream, root, path, keepKinds = false }, operation) {
      const job = { root, path, keepKinds, limits: limits() };
      return pool.run("unpackInto", job, { slot: "intake", operation, input: stream });
    },
    changes: (source, operation) => trees.changes(source, operation),
    tar(source: TarSource, operation: Operation): TarStream {
      if (source.kind !== "recipe") return trees.tar(source, operation);
      const { recipePath, tree, diffId } = source;
      return pool.stream("reassemble", { recipePath, tree, diffId }, { slot: "stream", operation });
    },
    compress(bytes, compression, operation) {
      // Without a slot of its own: what it waits for, the job that gives the bytes, has one.
      const made = pool.stream("compress", { compression }, { slot: "none", operation, input: bytes });
      // A job that never began has not taken them: nobody else would end them.
      return onEnd(made, () => bytes.locked ? undefined : bytes.cancel(), operation.signal);
    },
    copyTree: (source, target, operation) => trees.copyTree(source, target, operation),
    convertWhiteouts: (path, form, operation) => trees.convertWhiteouts(path, form, operation),
    removeTree: (path, operation) => trees.removeTree(path, operation),
    setGroup: (request, operation) => trees.setGroup(request, operation),
    usage: (path, operation, written) => trees.usage(path, operation, written),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** Unpacks that run now, over all engines of the process. */
let running = 0;

async function unpack(
  pool: WorkerPool<JobTable>,
  request: UnpackRequest,
  limits: LayerLimits,
  operation: Operation,
): Promise<AppliedLayer> {
  const { blob, directory, whiteouts, lowers, recipePath } = request;
  const stream = blob.source instanceof ReadableStream ? blob.source : undefined;
  const source = blob.source instanceof ReadableStream ? undefined : blob.source;
  const { compression, digest, diffId } = blob;
  const feed = { source, compression, digest, diffId, limits };
  const args = { ...feed, directory, whiteouts, asksLowers: lowers !== undefined, recipePath };
  const over = new AbortController();
  let started = false;
  let feeding: Promise<unknown> | undefined;
  let feedFailure: { readonly error: unknown } | undefined;
  try {
    return await pool.run("unpack", args, {
      slot: stream === undefined ? "unpack" : "intake",
      operation,
      atStart() {
        started = true;
        // Two workers for one layer, as long as there is a core for each.
        if (++running * 2 > navigator.hardwareConcurrency) return { args, input: stream };
        const ring = ringMemory();
        const signal = AbortSignal.any([operation.signal, over.signal]);
        feeding = pool.run("feed", { ...feed, ring }, {
          slot: "none",
          operation: { ...operation, signal },
          input: stream,
        });
        // However it fails, also when its worker breaks down, the reader must not wait for it.
        feeding.catch((error) => {
          feedFailure = { error };
          new ChunkRing(ring).fail();
        });
        return { args: { ...args, ring } };
      },
      answer: lowers && (async (question) => {
        if (question !== "lowers") throw new LaminaError("INTERNAL", `Unknown question "${question}"`);
        return await lowers();
      }),
    });
  } catch (error) {
    // A worker that was terminated could not do it.
    if (recipePath !== undefined) await removeUnfinished(recipePath);
    if (!started) await stream?.cancel(error).catch(() => {/* it failed by itself before */});
    // The job only knows that the bytes ceased to come; why is for the one who read them to say.
    if (feedFailure !== undefined && isLaminaError(error, "UNAVAILABLE")) throw feedFailure.error;
    throw error;
  } finally {
    if (started) running--;
    over.abort();
    await feeding?.catch(() => {/* reported by the reader's error or aborted just now */});
  }
}

async function removeUnfinished(recipePath: string): Promise<void> {
  for (const path of unfinishedRecipes(recipePath)) {
    try {
      await Deno.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
