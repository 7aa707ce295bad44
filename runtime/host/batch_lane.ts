/** Work that is cheaper together: what is asked for while one batch runs is put into the next. */

/** A group of items of one caller, which stay together and in order. */
interface Group<Item, Result> {
  readonly items: readonly Item[];
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Runs one batch at a time, or a few. */
export class BatchLane<Item, Result> {
  #waiting: Array<Group<Item, Result>> = [];
  #running = 0;
  /** Of those that run: how many have not taken their first batch yet. */
  #starting = 0;

  /**
   * @param run Performs a batch; gives one result per item, in order.
   * @param fits Whether a group may join the items of a batch.
   * @param width Batches at a time: more than one where an item waits rather than works, and nothing is asked about
   * the order of different callers' items. What waits is shared out among them.
   */
  constructor(
    readonly run: (items: readonly Item[]) => Promise<readonly Result[]>,
    readonly fits: (batch: readonly Item[], group: readonly Item[]) => boolean,
    readonly width = 1,
  ) {}

  /**
   * Queues a group and waits for its results.
   *
   * @throws the signal's reason when it aborts before the group's batch has begun; nothing was done then. A batch that
   * has begun is waited for: others are in it too.
   */
  submit(items: readonly Item[], signal: AbortSignal): Promise<Result[]> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Result[]>();
    const group = { items, resolve, reject };
    const onAbort = () => {
      const at = this.#waiting.indexOf(group);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.push(group);
    if (this.#running < this.width) {
      this.#running++;
      this.#starting++;
      queueMicrotask(() => this.#work());
    }
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  async #work(): Promise<void> {
    let share = Math.ceil(this.#waiting.length / this.#starting--);
    for (; this.#waiting.length > 0; share = Infinity) {
      const groups = [this.#waiting.shift()!];
      const batch = [...groups[0]!.items];
      // Who does not fit keeps its place, and nobody overtakes it.
      while (groups.length < share && this.#waiting.length > 0 && this.fits(batch, this.#waiting[0]!.items)) {
        const group = this.#waiting.shift()!;
        groups.push(group);
        batch.push(...group.items);
      }
      try {
        const results = await this.run(batch);
        let at = 0;
        for (const group of groups) group.resolve(results.slice(at, at += group.items.length));
      } catch (error) {
        for (const group of groups) group.reject(error);
      }
    }
    this.#running--;
  }
}
