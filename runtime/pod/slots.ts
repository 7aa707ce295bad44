/** So many at a time, the others in order of arrival. */

/** See the head of the file. */
export class Slots {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  /** @param count How many run at a time. */
  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `body` when there is a place. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await body();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
