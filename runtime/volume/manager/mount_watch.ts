/**
 * Looks at the mount table after it has changed, as long as there is something to look for: event driven, and not more
 * often than it costs.
 */
import { messageOf } from "../../core/errors.ts";
import type { ManagerHost } from "./manager_host.ts";

/** Changes that come within this time are looked at together. */
const TOGETHER_MS = 100;
/** A look may take at most this part of the time, … */
const COST_FACTOR = 10;
/** … but what has happened is seen within this time. */
const LATEST_MS = 600;
/** Without any change, a look now and then. */
const RESYNC_MS = 600_000;

/** See the head of the file. */
export class MountWatch {
  readonly #host: ManagerHost;
  readonly #look: () => void;
  readonly #failed: (message: string) => void;
  #watching: AbortController | undefined;
  #stopLook: (() => void) | undefined;
  #stopResync: (() => void) | undefined;
  #cost_ms = 0;

  /**
   * @param look Compares; must not throw.
   * @param failed Told when the kernel gives no watch: then only the resync is left.
   */
  constructor(host: ManagerHost, look: () => void, failed: (message: string) => void) {
    this.#host = host;
    this.#look = look;
    this.#failed = failed;
  }

  /** Starts or ends the watch. */
  set needed(needed: boolean) {
    if (!needed) this.stop();
    else if (this.#watching === undefined) this.#start();
  }

  /** A look is due, even if the table has not changed. */
  soon(): void {
    if (this.#watching === undefined || this.#stopLook !== undefined) return;
    const delay_ms = Math.min(LATEST_MS, Math.max(TOGETHER_MS, this.#cost_ms * COST_FACTOR));
    this.#stopLook = this.#host.timer(delay_ms, () => {
      this.#stopLook = undefined;
      this.#lookNow();
    });
  }

  stop(): void {
    this.#watching?.abort();
    this.#watching = undefined;
    this.#stopLook?.();
    this.#stopLook = undefined;
    this.#stopResync?.();
    this.#stopResync = undefined;
  }

  #start(): void {
    this.#watching = new AbortController();
    void this.#watch(this.#watching.signal);
    this.#resync();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of this.#host.watchMounts(signal)) {
        if (signal.aborted) return;
        this.soon();
      }
    } catch (error) {
      this.#failed(messageOf(error));
    }
  }

  #resync(): void {
    this.#stopResync = this.#host.timer(RESYNC_MS, () => {
      this.soon();
      this.#resync();
    }, true);
  }

  #lookNow(): void {
    const begun_ms = this.#host.now_ms();
    this.#look();
    this.#cost_ms = this.#host.now_ms() - begun_ms;
  }
}
