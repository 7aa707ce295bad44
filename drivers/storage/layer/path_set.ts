/**
 * A set of paths that keeps 64 bits of each: 8 to 32 bytes a path however long it is, so that millions fit. A false
 * hit has the chance of one in 2^64 for each pair of paths; the seed is random, so nobody can make one on purpose.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";

const EMPTY = 0;
const DELETED = 1;

/** See the head of the file. */
export class PathSet {
  readonly #seed = crypto.getRandomValues(new Uint32Array(2));
  /** Pairs of hash halves; a low half of 0 or 1 marks a place without a path. */
  #table = new Uint32Array(2 * 256);
  #used = 0;
  #low = 0;
  #high = 0;

  add(path: ByteString): void {
    if (this.has(path)) return;
    if (this.#used * 4 >= this.#table.length) this.#grow();
    this.#hash(path);
    this.#insert(this.#low, this.#high);
  }

  has(path: ByteString): boolean {
    return this.#find(path) >= 0;
  }

  /** Returns whether it was there. */
  delete(path: ByteString): boolean {
    const at = this.#find(path);
    if (at >= 0) this.#table[at] = DELETED;
    return at >= 0;
  }

  #find(path: ByteString): number {
    this.#hash(path);
    const mask = this.#table.length / 2 - 1;
    for (let slot = this.#high & mask;; slot = (slot + 1) & mask) {
      const low = this.#table[2 * slot];
      if (low === EMPTY) return -1;
      if (low === this.#low && this.#table[2 * slot + 1] === this.#high) return 2 * slot;
    }
  }

  #insert(low: number, high: number): void {
    const mask = this.#table.length / 2 - 1;
    let slot = high & mask;
    while (this.#table[2 * slot] !== EMPTY) slot = (slot + 1) & mask;
    this.#table[2 * slot] = low;
    this.#table[2 * slot + 1] = high;
    this.#used++;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    this.#used = 0;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i]! > DELETED) this.#insert(old[i]!, old[i + 1]!);
    }
  }

  /** Two independent multiplicative hashes, mixed at the end. */
  #hash(path: ByteString): void {
    let a = this.#seed[0]!;
    let b = this.#seed[1]!;
    for (let i = 0; i < path.length; i++) {
      const byte = path.charCodeAt(i);
      a = Math.imul(a ^ byte, 0x9e3779b1);
      b = Math.imul(b ^ byte, 0x85ebca6b) + a | 0;
      a = a << 13 | a >>> 19;
    }
    a = Math.imul(a ^ a >>> 16, 0x7feb352d) ^ b >>> 15;
    b = Math.imul(b ^ b >>> 15, 0x846ca68b) ^ a >>> 13;
    this.#low = (a | 2) >>> 0; // never a mark
    this.#high = b >>> 0;
  }
}
