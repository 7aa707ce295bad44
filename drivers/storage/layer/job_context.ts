/** The worker's half of the conversation about one job. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { ProgressEvent } from "../../../runtime/core/operation.ts";
import {
  type FromWorker,
  INPUT_AHEAD,
  type JobContext,
  OUTPUT_CREDIT,
  type ToWorker,
  unpackError,
} from "./job_protocol.ts";

const PROGRESS_INTERVAL_MS = 100;

type Chunk = Uint8Array<ArrayBuffer>;

/** See {@linkcode JobContext}. Messages for the job are fed to {@linkcode WorkerJobContext.receive}. */
export class WorkerJobContext implements JobContext {
  readonly #id: number;
  readonly #flag: Int32Array;
  readonly #send: (message: FromWorker, transfer?: Transferable[]) => void;
  #credit = OUTPUT_CREDIT;
  #creditWaiter: PromiseWithResolvers<void> | undefined;
  readonly #chunks: Chunk[] = [];
  #requested = 0;
  #inputEnd: { error?: LaminaError } | undefined;
  #chunkWaiter: PromiseWithResolvers<void> | undefined;
  #answerWaiter: PromiseWithResolvers<unknown> | undefined;
  #progressAt_ms = 0;

  /**
   * @param flag Shared with the ordering thread; not 0 once the job is cancelled.
   * @param send Posts a message to that thread.
   */
  constructor(id: number, flag: Int32Array, send: (message: FromWorker, transfer?: Transferable[]) => void) {
    this.#id = id;
    this.#flag = flag;
    this.#send = send;
  }

  /** Takes a message that is about this job. */
  receive(message: Exclude<ToWorker, { type: "run" }>): void {
    switch (message.type) {
      case "cancel": {
        const error = cancelled();
        this.#creditWaiter?.reject(error);
        this.#chunkWaiter?.reject(error);
        this.#answerWaiter?.reject(error);
        break;
      }
      case "credit":
        this.#credit++;
        this.#creditWaiter?.resolve();
        break;
      case "chunk":
        if (message.chunk !== undefined) this.#chunks.push(message.chunk);
        else this.#inputEnd ??= { error: message.error && unpackError(message.error) };
        this.#chunkWaiter?.resolve();
        break;
      case "answer":
        if (message.error !== undefined) this.#answerWaiter?.reject(unpackError(message.error));
        else this.#answerWaiter?.resolve(message.value);
        break;
    }
  }

  progress(event: ProgressEvent): void {
    const now_ms = performance.now();
    if (now_ms - this.#progressAt_ms < PROGRESS_INTERVAL_MS && event.current !== event.total) return;
    this.#progressAt_ms = now_ms;
    this.#send({ type: "progress", id: this.#id, event });
  }

  throwIfCancelled(): void {
    if (Atomics.load(this.#flag, 0) !== 0) throw cancelled();
  }

  async emitChunk(chunk: Chunk): Promise<void> {
    await this.#takeCredit();
    const whole = chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk);
    this.#send({ type: "output", id: this.#id, value: whole }, [whole.buffer]);
  }

  async emit(value: unknown): Promise<void> {
    await this.#takeCredit();
    this.#send({ type: "output", id: this.#id, value });
  }

  async nextChunk(): Promise<Chunk | undefined> {
    for (;;) {
      this.throwIfCancelled();
      const want = INPUT_AHEAD - this.#requested;
      if (want > 0 && this.#inputEnd === undefined) {
        this.#requested += want;
        this.#send({ type: "pull", id: this.#id, count: want });
      }
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#requested--;
        return chunk;
      }
      if (this.#inputEnd?.error !== undefined) throw this.#inputEnd.error;
      if (this.#inputEnd !== undefined) return undefined;
      this.#chunkWaiter = Promise.withResolvers();
      await this.#chunkWaiter.promise;
      this.#chunkWaiter = undefined;
    }
  }

  async askMain(question: string): Promise<unknown> {
    this.throwIfCancelled();
    this.#answerWaiter = Promise.withResolvers();
    this.#send({ type: "ask", id: this.#id, question });
    return await this.#answerWaiter.promise;
  }

  async #takeCredit(): Promise<void> {
    this.throwIfCancelled();
    while (this.#credit === 0) {
      this.#creditWaiter = Promise.withResolvers();
      await this.#creditWaiter.promise;
      this.#creditWaiter = undefined;
    }
    this.#credit--;
  }
}

function cancelled(): LaminaError {
  return new LaminaError("CANCELLED", "The job was cancelled");
}
