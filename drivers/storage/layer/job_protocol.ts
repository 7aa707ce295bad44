/** What passes between the engine's thread and its workers, and what a job sees of it. */
import { type ErrorCode, LaminaError } from "../../../runtime/core/errors.ts";
import type { ProgressEvent } from "../../../runtime/core/operation.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";

/** Output messages (chunks or batches) that a worker may send before the consumer has taken any. */
export const OUTPUT_CREDIT = 4;
/** Input chunks that a worker asks for ahead of its need. */
export const INPUT_AHEAD = 4;

/** A job's window to the thread that ordered it. Jobs run one at a time in a worker. */
export interface JobContext {
  /** Reports progress; cheap to call often, sent at most every 100 ms (and always when `current` equals `total`). */
  progress(event: ProgressEvent): void;
  /**
   * Throws `CANCELLED` once the caller has given up. To be called at least once per entry and per chunk, so that a
   * job ends by itself and closes what it opened.
   */
  throwIfCancelled(): void;
  /** Sends a chunk of at most 1 MiB and waits while the consumer is behind. The chunk's buffer is given away. */
  emitChunk(chunk: Uint8Array<ArrayBuffer>): Promise<void>;
  /** The same for anything that structured cloning can carry: a batch of changes, for instance. */
  emit(value: unknown): Promise<void>;
  /** The next chunk of the job's input stream, never empty; `undefined` at its end. */
  nextChunk(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Asks the thread that ordered the job, which answers by its `answer` function. */
  askMain(question: string): Promise<unknown>;
}

/** One kind of work. `args` and the result must survive structured cloning. */
// deno-lint-ignore no-explicit-any
export type Job = (args: any, context: JobContext) => unknown;

/** An error on its way through the worker boundary. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: LaminaError["details"];
  readonly stack?: string;
}

/** To a worker. `id` is the job's; what belongs to a job that has ended is dropped. */
export type ToWorker =
  | {
    readonly type: "run";
    readonly id: number;
    readonly job: string;
    readonly args: unknown;
    readonly flag: Int32Array;
  }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "credit"; readonly id: number }
  | {
    readonly type: "chunk";
    readonly id: number;
    readonly chunk?: Uint8Array<ArrayBuffer>;
    readonly error?: WireError;
  }
  | { readonly type: "answer"; readonly id: number; readonly value?: unknown; readonly error?: WireError };

/** From a worker. */
export type FromWorker =
  | { readonly type: "progress"; readonly id: number; readonly event: ProgressEvent }
  | { readonly type: "output"; readonly id: number; readonly value: unknown }
  | { readonly type: "pull"; readonly id: number; readonly count: number }
  | { readonly type: "ask"; readonly id: number; readonly question: string }
  | { readonly type: "done"; readonly id: number; readonly result: unknown }
  | { readonly type: "failed"; readonly id: number; readonly error: WireError };

/** A Lamina error of anything that a job threw: failed system calls get the code that fits. */
export function jobError(error: unknown, attempted: string): LaminaError {
  if (error instanceof RangeError && /array buffer allocation/i.test(error.message)) {
    return new LaminaError("RESOURCE_EXHAUSTED", `${attempted}: out of memory`, { cause: error });
  }
  return hostError(error, attempted);
}

/** For the boundary. */
export function packError(error: LaminaError): WireError {
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  return { code: error.code, message: error.message, details: error.details, stack: cause ?? error.stack };
}

/** Behind the boundary; the worker's stack becomes the cause. */
export function unpackError(wire: WireError): LaminaError {
  return new LaminaError(wire.code, wire.message, { details: wire.details, cause: wire.stack });
}
