/** A call's place in a lane together with its signal. */
import { LaminaError } from "../core/errors.ts";
import type { Gate } from "./gate.ts";
import type { Lane } from "./route.ts";

/** One for all calls: making an error costs more than whoever is left listening would learn from its place. */
const OVER = new LaminaError("CANCELLED", "The call is over");

/** Held from the moment a call may run until nothing of it runs any more. */
export class Lease {
  /** Aborts when the caller goes, the deadline passes, the daemon stops, or the call is over. */
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  #leave: () => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param others Signals of the caller and of the daemon. */
  constructor(others: readonly AbortSignal[], deadline_ms: number) {
    this.signal = AbortSignal.any([this.#own.signal, ...others]);
    if (deadline_ms === Infinity) return;
    const late = () =>
      this.#own.abort(
        new LaminaError("DEADLINE_EXCEEDED", `The call took longer than ${deadline_ms} ms and was rolled back`, {
          details: { deadline_ms },
        }),
      );
    this.#timer = setTimeout(late, deadline_ms);
  }

  /** Waits for a place; see {@linkcode Gate.enter}. */
  async enter(gate: Gate, lane: Lane): Promise<void> {
    try {
      this.#leave = await gate.enter(lane, this.signal);
    } catch (error) {
      clearTimeout(this.#timer);
      throw error;
    }
  }

  /** Tells the work that nobody wants it any more; the place is kept until {@linkcode Lease.end}. */
  abandon(reason?: unknown): void {
    this.#own.abort(
      reason instanceof LaminaError ? reason : new LaminaError("CANCELLED", "The client has gone", { cause: reason }),
    );
  }

  /** Gives the place back. Whatever was left running learns that the call is over. */
  end(): void {
    clearTimeout(this.#timer);
    this.#own.abort(OVER);
    this.#leave();
  }
}
