/** Layers that something under way needs, though no image has them yet or any more. In memory: a crash ends all of it. */

/** Counts who needs which layer. */
export class LayerPins {
  readonly #counts = new Map<string, number>();

  /** Keeps the layers until the handle is disposed. Pin before you look whether a layer exists. */
  pin(chainIds: Iterable<string>): Disposable {
    const held = new Set(chainIds);
    for (const chainId of held) this.#counts.set(chainId, (this.#counts.get(chainId) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const chainId of held) {
          const left = this.#counts.get(chainId)! - 1;
          if (left > 0) this.#counts.set(chainId, left);
          else this.#counts.delete(chainId);
        }
        held.clear();
      },
    };
  }

  /** Whether somebody needs the layer. */
  has(chainId: string): boolean {
    return this.#counts.has(chainId);
  }
}
