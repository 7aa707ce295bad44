/** How many jobs of one kind run at a time; the others wait in the order in which they came. */

interface Waiter {
  readonly grant: () => void;
}

/** Counting semaphore with a queue that an abort leaves. */
export class Slots {
  readonly #limit: number;
  #used = 0;
  readonly #queue: Waiter[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a slot. Rejects with the signal's reason when that aborts first. */
  async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#used < this.#limit) {
      this.#used++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { grant: resolve };
    const leave = () => {
      const index = this.#queue.indexOf(waiter);
      if (index < 0) return; // granted already: the holder will see the abort itself
      this.#queue.splice(index, 1);
      reject(signal.reason);
    };
    this.#queue.push(waiter);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Takes a slot beyond the limit if need be: for one that was lent out while its job waited for somebody else. */
  force(): void {
    this.#used++;
  }

  /** Gives a slot back. */
  release(): void {
    this.#used--;
    while (this.#used < this.#limit) {
      const waiter = this.#queue.shift();
      if (waiter === undefined) return;
      this.#used++;
      waiter.grant();
    }
  }
}
