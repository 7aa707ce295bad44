/**
 * Workers for the layer engine. They are started when there is work, reused, and ended after some idle seconds, so that
 * an idle daemon has none.
 *
 * Jobs have slots by kind. A job that unpacks may take the output of one that streams (a commit is a diff piped into an
 * unpack): with slots of their own neither can keep the other from starting. A job that waits for an answer lends its
 * slot meanwhile: what it waits for (the parent's layer) may need one.
 */
import { LaminaError, toLaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { Job, JobContext } from "./job_protocol.ts";
import { PoolWorker } from "./pool_worker.ts";
import { Slots } from "./slots.ts";

/**
 * `unpack`: takes archives on disk in; `intake`: takes one in that somebody sends; `stream`: gives archives or lists
 * out; `tree`: copies, deletes, counts; `none`: a part of another job, which has a slot, and started by it.
 */
export type SlotKind = "unpack" | "intake" | "stream" | "tree" | "none";

/** Settings of a pool. */
export interface WorkerPoolOptions {
  /** Jobs of each kind at a time. */
  readonly slots?: Partial<Record<SlotKind, number>>;
  /** After so many idle milliseconds a worker ends; default 5,000. */
  readonly idle_ms?: number;
}

/** What a job is given besides its arguments. */
export interface PoolJobOptions {
  readonly slot: SlotKind;
  readonly operation: Operation;
  /** Cancelled when the job ends before it. */
  readonly input?: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Called when the job has got its slot: decides on its arguments and input after all. */
  readonly atStart?: () => { readonly args: unknown; readonly input?: ReadableStream<Uint8Array<ArrayBuffer>> };
  /** Answers what the job asks by `askMain`. */
  readonly answer?: (question: string) => Promise<unknown>;
}

type Args<J> = J extends (args: infer A, context: JobContext) => unknown ? A : never;
type Result<J> = J extends (...args: never[]) => infer R ? Awaited<R> : never;

/**
 * See the head of the file.
 *
 * @typeParam Table The job table that the workers serve.
 */
export class WorkerPool<Table extends Record<string, Job>> implements AsyncDisposable {
  readonly #module: URL;
  readonly #idle_ms: number;
  readonly #slots: Record<SlotKind, Slots>;
  readonly #idle: Array<{ readonly worker: PoolWorker; readonly timer: ReturnType<typeof setTimeout> }> = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  /** @param module The workers' entry: a module that calls `serveJobs` with the table. */
  constructor(module: URL, options: WorkerPoolOptions = {}) {
    this.#module = module;
    const cores = navigator.hardwareConcurrency;
    this.#idle_ms = options.idle_ms ?? 5_000;
    this.#slots = {
      // Each has a second worker that reads for it: two cores are busy with one layer.
      unpack: new Slots(options.slots?.unpack ?? Math.max(1, Math.min(cores >> 1, 8))),
      // Their senders may be slow and must not keep the archives on disk waiting.
      intake: new Slots(options.slots?.intake ?? 8),
      // Their consumers may be slow (a client at the other end of a network): many may wait at a time.
      stream: new Slots(options.slots?.stream ?? 16),
      tree: new Slots(options.slots?.tree ?? Math.max(2, Math.min(cores, 4))),
      none: new Slots(Infinity),
    };
  }

  /** Workers that wait for work. */
  get idleWorkers(): number {
    return this.#idle.length;
  }

  /**
   * Runs a job and gives its result.
   *
   * @throws the job's own error; `CANCELLED`, `DEADLINE_EXCEEDED` or the abort reason's code when the operation's
   * signal aborts. By then the job touches nothing any more.
   */
  run<K extends keyof Table & string>(
    job: K,
    args: Args<Table[K]>,
    options: PoolJobOptions,
  ): Promise<Result<Table[K]>> {
    return this.#start(job, args, options, undefined) as Promise<Result<Table[K]>>;
  }

  /** What a job emits, in order; the job starts with the first request and is cancelled when the loop is left. */
  async *items<K extends keyof Table & string>(
    job: K,
    args: Args<Table[K]>,
    options: PoolJobOptions,
  ): AsyncGenerator<unknown, void, void> {
    const left = new AbortController();
    const operation = { ...options.operation, signal: AbortSignal.any([options.operation.signal, left.signal]) };
    const buffer: Array<{ readonly value: unknown; readonly taken: () => void }> = [];
    let end: { failure?: unknown } | undefined;
    let wake = Promise.withResolvers<void>();
    const work = this.#start(job, args, { ...options, operation }, (value, taken) => {
      buffer.push({ value, taken });
      wake.resolve();
    }).then(() => {
      end = {};
    }, (failure) => {
      end = { failure };
    }).finally(() => wake.resolve());
    try {
      for (;;) {
        for (let item = buffer.shift(); item !== undefined; item = buffer.shift()) {
          item.taken();
          yield item.value;
        }
        if (end !== undefined && buffer.length === 0) {
          if ("failure" in end) throw end.failure;
          return;
        }
        await wake.promise;
        wake = Promise.withResolvers();
      }
    } finally {
      left.abort();
      await work;
    }
  }

  /** The same for a job that emits chunks. Nothing runs before the first read; cancelling ends the job. */
  stream<K extends keyof Table & string>(
    job: K,
    args: Args<Table[K]>,
    options: PoolJobOptions,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const left = new AbortController();
    const operation = { ...options.operation, signal: AbortSignal.any([options.operation.signal, left.signal]) };
    const items = this.items(job, args, { ...options, operation });
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        const { value, done } = await items.next();
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
      async cancel() {
        left.abort();
        // A read that was under way takes the abort as its error; whoever cancels does not want it.
        await items.return().catch(() => {});
      },
    }, { highWaterMark: 0 });
  }

  /** Cancels what runs, waits for its end, ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new LaminaError("UNAVAILABLE", "The layer engine is shutting down"));
    await Promise.allSettled(this.#running);
    for (const { worker, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      worker.terminate();
    }
  }

  #start(
    job: string,
    args: unknown,
    options: PoolJobOptions,
    output: ((value: unknown, taken: () => void) => void) | undefined,
  ): Promise<unknown> {
    const work = this.#work(job, args, options, output);
    this.#running.add(work);
    const forget = () => this.#running.delete(work);
    work.then(forget, forget);
    return work;
  }

  async #work(
    job: string,
    args: unknown,
    options: PoolJobOptions,
    output: ((value: unknown, taken: () => void) => void) | undefined,
  ): Promise<unknown> {
    const { operation, answer } = options;
    const signal = AbortSignal.any([operation.signal, this.#closing.signal]);
    const slots = this.#slots[options.slot];
    try {
      await slots.acquire(signal);
    } catch (error) {
      await options.input?.cancel(error).catch(() => {/* it failed by itself; nobody will read it */});
      throw toLaminaError(error, `Job "${job}" was cancelled while it waited for a worker`);
    }
    let worker: PoolWorker | undefined;
    try {
      const start = options.atStart?.() ?? { args, input: options.input };
      worker = this.#takeWorker();
      return await worker.run({
        job,
        args: start.args,
        signal,
        progress: operation.progress,
        input: start.input,
        output,
        answer: answer && (async (question) => {
          slots.release();
          try {
            return await answer(question);
          } finally {
            slots.force();
          }
        }),
      });
    } finally {
      if (worker?.alive) this.#keepWorker(worker);
      slots.release();
    }
  }

  #takeWorker(): PoolWorker {
    const kept = this.#idle.pop();
    if (kept === undefined) return new PoolWorker(this.#module);
    clearTimeout(kept.timer);
    return kept.worker;
  }

  #keepWorker(worker: PoolWorker): void {
    const timer = setTimeout(() => {
      this.#idle.splice(this.#idle.findIndex((kept) => kept.worker === worker), 1);
      worker.terminate();
    }, this.#idle_ms);
    this.#idle.push({ worker, timer });
  }
}
