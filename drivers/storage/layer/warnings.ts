/** What people should know about a layer although it was applied. At most 100. */

const MAX_WARNINGS = 100;

/** See the head of the file. */
export class Warnings {
  readonly #messages: string[] = [];
  readonly #said = new Set<string>();
  #left_out = 0;

  add(message: string): void {
    if (this.#messages.length < MAX_WARNINGS - 1) this.#messages.push(message);
    else this.#left_out++;
  }

  /** Only the first time for a topic. */
  once(topic: string, message: string): void {
    if (this.#said.has(topic)) return;
    this.#said.add(topic);
    this.add(message);
  }

  /** In order; the last one says how many there were besides. */
  list(): string[] {
    return this.#left_out === 0 ? [...this.#messages] : [...this.#messages, `${this.#left_out} more warnings`];
  }
}
