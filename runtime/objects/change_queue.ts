/** Changes for one reader, in order, as they come. */
import { LaminaError } from "../core/errors.ts";
import type { WatchLine } from "../core/model/object.ts";

/** How far a reader may lag behind, besides what was there when it began. */
const MAX_LAG = 10_000;

/** See the head of the file. */
export class ChangeQueue {
  readonly #signal: AbortSignal;
  #queue: WatchLine[] = [];
  #read = 0;
  #lost = false;
  /** What was there at the beginning is all in the queue. */
  #told = false;
  #limit = MAX_LAG;
  #ready = Promise.withResolvers<void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#ready.resolve(), { once: true });
  }

  /** Adds a change; the reader wakes. */
  push(change: WatchLine): void {
    if (change.type === "bookmark") {
      this.#told = true;
      this.#limit = this.#queue.length + MAX_LAG;
    }
    if (this.#told && this.#queue.length - this.#read >= this.#limit) this.#lost = true;
    else this.#queue.push(change);
    this.#ready.resolve();
  }

  /**
   * The changes until the signal aborts.
   *
   * @param stop Called when nobody reads any more.
   * @throws `RESOURCE_EXHAUSTED` in a reader that is too slow.
   */
  async *until(stop: () => void): AsyncGenerator<WatchLine> {
    try {
      while (!this.#signal.aborted) {
        if (this.#read < this.#queue.length) {
          yield this.#queue[this.#read++]!;
        } else if (this.#lost) {
          throw new LaminaError(
            "RESOURCE_EXHAUSTED",
            `Cannot follow the changes: the reader is more than ${MAX_LAG} behind. Read faster, and begin anew`,
          );
        } else {
          this.#queue = [];
          this.#read = 0;
          this.#ready = Promise.withResolvers<void>();
          if (!this.#signal.aborted) await this.#ready.promise;
        }
      }
    } finally {
      stop();
    }
  }
}
