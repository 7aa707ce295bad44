/** How many calls run at once, and how many may wait. */
import { LaminaError } from "../core/errors.ts";
import type { Lane } from "./route.ts";

/** Bounds of one lane. */
export interface LaneLimit {
  /** Calls that run at the same time. */
  readonly running: number;
  /** Calls that wait for one of those; the next is refused with `UNAVAILABLE`. */
  readonly waiting: number;
}

/** Bounds that hold unless a test says otherwise. */
export const LANE_LIMITS: Readonly<Record<Lane, LaneLimit>> = {
  quick: { running: 128, waiting: 4096 },
  long: { running: 16, waiting: 256 },
  watch: { running: 256, waiting: 0 },
};

interface LaneState {
  running: number;
  readonly waiting: Array<() => void>;
}

/** Hands out places in lanes, in order of arrival, and knows when none is taken. */
export class Gate {
  readonly #lanes: Readonly<Record<Lane, LaneState>> = {
    quick: { running: 0, waiting: [] },
    long: { running: 0, waiting: [] },
    watch: { running: 0, waiting: [] },
  };
  #idleWaiters: Array<() => void> = [];

  constructor(readonly limits: Readonly<Record<Lane, LaneLimit>> = LANE_LIMITS) {}

  /**
   * Waits for a place; the returned function gives it back (once, further calls do nothing).
   *
   * @throws `UNAVAILABLE` when too many wait, the signal's reason when it aborts first.
   */
  async enter(lane: Lane, signal: AbortSignal): Promise<() => void> {
    const state = this.#lanes[lane];
    const limit = this.limits[lane];
    if (state.running >= limit.running) {
      if (state.waiting.length >= limit.waiting) {
        throw new LaminaError(
          "UNAVAILABLE",
          `Too many requests: ${state.running} run and ${state.waiting.length} wait. Try again later`,
          { details: { lane, running: state.running, waiting: state.waiting.length } },
        );
      }
      await this.#wait(state, signal);
    } else {
      state.running++;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = state.waiting.shift();
      // The place goes from hand to hand: `running` stays as it is.
      if (next !== undefined) return next();
      state.running--;
      if (this.active === 0) this.#idleWaiters.splice(0).forEach((resolve) => resolve());
    };
  }

  /** Calls that run now, in all lanes. */
  get active(): number {
    return this.#lanes.quick.running + this.#lanes.long.running + this.#lanes.watch.running;
  }

  /** Resolves when no call runs. */
  idle(): Promise<void> {
    return this.active === 0 ? Promise.resolve() : new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #wait(state: LaneState, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        state.waiting.splice(state.waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      state.waiting.push(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
