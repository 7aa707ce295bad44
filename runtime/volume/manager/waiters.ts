/** Those who wait for a workload: woken by every change that may concern them. */

/** See the head of the file. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** @param uid Of the workload that something happened to; absent: it may have been any. */
  notify(uid?: string): void {
    if (uid === undefined) {
      for (const wakes of this.#waiting.values()) wakes.forEach((wake) => wake());
    } else this.#waiting.get(uid)?.forEach((wake) => wake());
  }

  /**
   * Waits until `check` gives something.
   *
   * @param late Makes the error to throw when the signal aborts first.
   */
  async until<T>(uid: string, signal: AbortSignal, check: () => T | undefined, late: () => unknown): Promise<T> {
    let changed = Promise.withResolvers<void>();
    const wake = () => changed.resolve();
    const wakes = this.#waiting.get(uid) ?? new Set();
    this.#waiting.set(uid, wakes.add(wake));
    signal.addEventListener("abort", wake, { once: true });
    try {
      for (;;) {
        const found = check();
        if (found !== undefined) return found;
        if (signal.aborted) throw late();
        await changed.promise;
        changed = Promise.withResolvers();
      }
    } finally {
      signal.removeEventListener("abort", wake);
      wakes.delete(wake);
      if (wakes.size === 0 && this.#waiting.get(uid) === wakes) this.#waiting.delete(uid);
    }
  }
}
