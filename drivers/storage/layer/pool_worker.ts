/** The ordering thread's half of the conversation with one worker. */
import { setFlagsFromString } from "node:v8";
import { LaminaError, messageOf, toLaminaError } from "../../../runtime/core/errors.ts";
import type { ProgressEvent } from "../../../runtime/core/operation.ts";
import { type FromWorker, packError, type ToWorker, unpackError } from "./job_protocol.ts";

type Chunk = Uint8Array<ArrayBuffer>;

/** How long a cancelled job may take to end by itself before its worker is terminated. */
const CANCEL_GRACE_MS = 2_000;

/** How long the maker of a job's input may take to end once the job has. */
const INPUT_GRACE_MS = 1_000;

// Read when a worker is made: a layer passes through in short-lived pieces, for which a heap that first grows to what the
// whole machine could give is only memory that edge devices do not have (290 MB instead of 240 for six layers at once).
for (const flag of ["--max-semi-space-size=1", "--optimize-for-size"]) setFlagsFromString(flag);

/** What one run of a job is given. */
export interface JobRun {
  readonly job: string;
  readonly args: unknown;
  readonly signal: AbortSignal;
  readonly progress: (event: ProgressEvent) => void;
  readonly input?: ReadableStream<Chunk>;
  /** Answers the job's questions. */
  readonly answer?: (question: string) => Promise<unknown>;
  /** Receives what the job emits; `taken` lets it emit one more. */
  readonly output?: (value: unknown, taken: () => void) => void;
}

interface ActiveRun extends JobRun {
  readonly id: number;
  readonly settled: PromiseWithResolvers<unknown>;
  reader?: ReadableStreamDefaultReader<Chunk>;
  /** Pulls are served one after the other. */
  pulls: Promise<void>;
  /** The input stream's own error, kept as it is: the worker only sees a copy. */
  inputError?: unknown;
}

/** A worker that runs one job at a time. */
export class PoolWorker {
  readonly #worker: Worker;
  #run: ActiveRun | undefined;
  #nextId = 1;
  #dead = false;

  /** @param module The worker's entry. */
  constructor(module: URL) {
    this.#worker = new Worker(module, { type: "module", name: "layer" });
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // it is reported by the job that was running
      this.terminate();
      this.#run?.settled.reject(new LaminaError("INTERNAL", `A layer worker broke down: ${event.message}`));
    };
  }

  /** False once it was terminated. */
  get alive(): boolean {
    return !this.#dead;
  }

  /** Ends it at once, whatever it does. */
  terminate(): void {
    this.#dead = true;
    this.#worker.terminate();
  }

  /**
   * Runs a job to its end. When this settles the job touches nothing any more. An abort first asks the job to stop, so
   * that it closes its files; one that does not within two seconds loses its worker.
   */
  async run(run: JobRun): Promise<unknown> {
    if (run.signal.aborted) {
      await run.input?.cancel(run.signal.reason);
      throw toLaminaError(run.signal.reason, `Job "${run.job}" was cancelled`);
    }
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const active: ActiveRun = {
      ...run,
      id: this.#nextId++,
      settled: Promise.withResolvers(),
      reader: run.input?.getReader(),
      pulls: Promise.resolve(),
    };
    let grace: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      Atomics.store(flag, 0, 1);
      this.#post({ type: "cancel", id: active.id });
      grace = setTimeout(() => {
        this.terminate();
        active.settled.reject(new LaminaError("CANCELLED", "The job was cancelled"));
      }, CANCEL_GRACE_MS);
    };
    this.#run = active;
    run.signal.addEventListener("abort", cancel, { once: true });
    this.#post({ type: "run", id: active.id, job: run.job, args: run.args, flag });
    let failure: unknown;
    try {
      return await active.settled.promise;
    } catch (error) {
      failure = error;
      if (run.signal.aborted) throw toLaminaError(run.signal.reason, `Job "${run.job}" was cancelled`);
      throw active.inputError === undefined ? error : toLaminaError(active.inputError, "Cannot read the input");
    } finally {
      run.signal.removeEventListener("abort", cancel);
      clearTimeout(grace);
      this.#run = undefined;
      if (active.reader !== undefined) await endInput(active.reader, failure);
    }
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.#dead) this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    const run = this.#run;
    if (run === undefined || message.id !== run.id) return;
    switch (message.type) {
      case "progress":
        run.progress(message.event);
        break;
      case "output": {
        const taken = () => this.#post({ type: "credit", id: run.id });
        if (run.output === undefined) taken();
        else run.output(message.value, taken);
        break;
      }
      case "pull":
        for (let i = 0; i < message.count; i++) run.pulls = run.pulls.then(() => this.#feed(run));
        break;
      case "ask":
        void this.#answer(run, message.question);
        break;
      case "done":
        run.settled.resolve(message.result);
        break;
      case "failed":
        run.settled.reject(unpackError(message.error));
        break;
    }
  }

  async #feed(run: ActiveRun): Promise<void> {
    if (this.#run !== run) return;
    try {
      for (;;) {
        const { value, done } = run.reader === undefined ? { done: true } : await run.reader.read();
        if (done) return this.#post({ type: "chunk", id: run.id });
        if (value === undefined || value.length === 0) continue;
        const copy = new Uint8Array(value); // not `slice`, by which a Buffer shares its memory; the stream's owner may still want its buffer
        return this.#post({ type: "chunk", id: run.id, chunk: copy }, [copy.buffer]);
      }
    } catch (error) {
      run.inputError ??= error;
      const wire = packError(toLaminaError(error, `Cannot read the input: ${messageOf(error)}`));
      this.#post({ type: "chunk", id: run.id, error: wire });
    }
  }

  async #answer(run: ActiveRun, question: string): Promise<void> {
    try {
      if (run.answer === undefined) throw new LaminaError("INTERNAL", `Nobody answers the question "${question}"`);
      const value = await run.answer(question);
      this.#post({ type: "answer", id: run.id, value });
    } catch (error) {
      this.#post({ type: "answer", id: run.id, error: packError(toLaminaError(error, `Asked for ${question}`)) });
    }
  }
}

/** Ends whatever makes the input (nothing, once it is at its end). Does not wait for ever: the maker may be stuck. */
async function endInput(reader: ReadableStreamDefaultReader<Chunk>, reason: unknown): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, INPUT_GRACE_MS));
  const ended = reader.cancel(reason).catch(() => {/* it failed before, and that was reported */});
  await Promise.race([ended, late]);
  clearTimeout(timer);
}
