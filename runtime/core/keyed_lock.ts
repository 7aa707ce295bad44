/** One operation per object; the others queue in order of arrival. */

/** Hands out locks by key. Acquire several keys only in sorted order (see {@linkcode KeyedLock.acquireAll}). */
export class KeyedLock {
  #tails = new Map<string, Promise<void>>();

  /**
   * Waits for `key` and holds it until the returned handle is disposed.
   *
   * @throws the signal's reason when it aborts before the lock was granted; the queue goes on without the waiter.
   */
  async acquire(key: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const tail = before.then(() => released);
    this.#tails.set(key, tail);
    const leave = () => {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
    try {
      await abortable(before, signal);
    } catch (error) {
      // Whoever waits behind us still waits for those before us.
      before.then(leave);
      throw error;
    }
    return { [Symbol.dispose]: leave };
  }

  /** Several keys at once, in an order that cannot deadlock. */
  async acquireAll(keys: Iterable<string>, signal: AbortSignal): Promise<Disposable> {
    const held: Disposable[] = [];
    const releaseAll = () => held.reverse().forEach((lock) => lock[Symbol.dispose]());
    try {
      for (const key of [...new Set(keys)].sort()) held.push(await this.acquire(key, signal));
    } catch (error) {
      releaseAll();
      throw error;
    }
    return { [Symbol.dispose]: releaseAll };
  }

  /** Whether somebody holds or waits for `key`. */
  isBusy(key: string): boolean {
    return this.#tails.has(key);
  }
}

/** `promise`, or the signal's reason if it aborts first. The promise itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
