/** Work that is done in the background and may be waited for: freeing what was discarded. */
import { LaminaError, messageOf } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";

/** Runs one piece of work whenever somebody wants it, one at a time. Disposing stops it. */
export class BackgroundWork implements AsyncDisposable {
  readonly #work: (operation: Operation) => Promise<void>;
  readonly #closing = new AbortController();
  #last: Promise<void> = Promise.resolve();
  #wanted = false;
  #failure: unknown;

  /** @param work Does everything that there is to do when it begins; honours the signal. */
  constructor(work: (operation: Operation) => Promise<void>) {
    this.#work = work;
  }

  /** Does the work soon. A failure is kept as {@linkcode failure}. */
  soon(): void {
    if (this.#wanted || this.#closing.signal.aborted) return;
    this.#wanted = true;
    this.#last = this.#last.then(async () => {
      // What comes from here on is seen by the work, which only begins now, or asks again.
      this.#wanted = false;
      this.#failure = undefined;
      try {
        await this.#work({ signal: this.#closing.signal, progress: () => {} });
      } catch (error) {
        this.#failure = error;
      }
    });
  }

  /** Does the work, waits for it and throws its failure. */
  async now(operation: Operation): Promise<void> {
    const turn = this.#last.then(() => this.#work(operation));
    this.#last = turn.then(() => this.#failure = undefined, (error) => {
      if (!operation.signal.aborted) this.#failure = error;
    });
    await turn;
  }

  /** Why it failed the last time, if it did. */
  get failure(): string | undefined {
    return this.#failure === undefined ? undefined : messageOf(this.#failure);
  }

  /** Aborts what runs and waits for its end. What is left is done after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new LaminaError("CANCELLED", "The storage driver is being closed"));
    await this.#last;
  }
}
