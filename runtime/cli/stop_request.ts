/** How a daemon is asked to stop. */
import type { Logger } from "../api/log.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** The first SIGTERM or SIGINT asks for an orderly stop, the second ends the process at once. */
export class StopRequest implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = SIGNALS.map((name) => [name, () => this.#ask(name)] as const);

  /** @param outer Another way to ask: the command's own signal. */
  constructor(outer: AbortSignal, readonly log: Logger) {
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
    outer.addEventListener("abort", () => this.#controller.abort(), { once: true });
  }

  /** Aborts at the first request. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }

  #ask(name: typeof SIGNALS[number]): void {
    if (this.#controller.signal.aborted) {
      this.log.warn("second signal: ending at once, the next start rolls back what ran", { signal: name });
      Deno.exit(name === "SIGINT" ? 130 : 143);
    }
    this.log.info("asked to stop", { signal: name });
    this.#controller.abort();
  }
}
