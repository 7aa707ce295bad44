/**
 * Chunks on their way from one worker to another through shared memory: no message, no copy that becomes garbage, and
 * both sides wait for each other without their event loops. One writes, one reads.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of the largest chunk. */
export const RING_CHUNK_BYTES = 1 << 18;
const SLOTS = 8;
const NOTE_BYTES = 4096;
const WAIT_MS = 50;

// Words of the control block.
const WRITTEN = 0;
const READ = 1;
const STATE = 2;
const NOTE_LENGTH = 3;
const LENGTHS = 4;
const CONTROL_BYTES = 4 * (LENGTHS + SLOTS);

const RUNNING = 0;
const ENDED = 1;
const FAILED = 2;
/** The reader wants no more chunks, but the note. */
const DISCARDING = 3;

/** What crosses the worker boundary. */
export type RingMemory = SharedArrayBuffer;

/** Memory for one ring: about 2 MiB. */
export function ringMemory(): RingMemory {
  return new SharedArrayBuffer(CONTROL_BYTES + NOTE_BYTES + SLOTS * RING_CHUNK_BYTES);
}

/** One side's view of a ring. Every wait calls `check` at least every 50 ms; it throws to end the wait. */
export class ChunkRing {
  readonly #control: Int32Array;
  readonly #note: Uint8Array;
  readonly #data: Uint8Array;
  readonly #check: () => void;

  constructor(memory: RingMemory, check: () => void = () => {}) {
    this.#control = new Int32Array(memory, 0, LENGTHS + SLOTS);
    this.#note = new Uint8Array(memory, CONTROL_BYTES, NOTE_BYTES);
    this.#data = new Uint8Array(memory, CONTROL_BYTES + NOTE_BYTES);
    this.#check = check;
  }

  /** Writer: adds bytes, waits while the ring is full. Returns false once the reader wants no more. */
  write(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      const written = Atomics.load(this.#control, WRITTEN);
      let read = Atomics.load(this.#control, READ);
      while (written - read === SLOTS) {
        if (Atomics.load(this.#control, STATE) !== RUNNING) return false;
        this.#wait(READ, read);
        read = Atomics.load(this.#control, READ);
      }
      if (Atomics.load(this.#control, STATE) !== RUNNING) return false;
      const slot = written % SLOTS;
      const count = Math.min(bytes.length - at, RING_CHUNK_BYTES);
      this.#data.set(bytes.subarray(at, at + count), slot * RING_CHUNK_BYTES);
      this.#control[LENGTHS + slot] = count;
      Atomics.store(this.#control, WRITTEN, written + 1);
      Atomics.notify(this.#control, WRITTEN);
      at += count;
    }
    return true;
  }

  /** Writer: there is nothing more; `note` (at most 4,096 characters) goes with it. */
  end(note: string): void {
    const bytes = new TextEncoder().encode(note);
    this.#note.set(bytes);
    this.#control[NOTE_LENGTH] = bytes.length;
    this.#set(ENDED);
  }

  /** Anybody: the writer is gone. The reader's calls throw from now on. */
  fail(): void {
    if (Atomics.load(this.#control, STATE) !== ENDED) this.#set(FAILED);
  }

  /**
   * Reader: the next bytes, copied to `buffer` (of {@linkcode RING_CHUNK_BYTES}); `undefined` at the end.
   *
   * @throws `UNAVAILABLE` when the writer failed; its own error says why.
   */
  read(buffer: Bytes): Bytes | undefined {
    const read = Atomics.load(this.#control, READ);
    for (;;) {
      const state = Atomics.load(this.#control, STATE);
      const written = Atomics.load(this.#control, WRITTEN);
      if (written !== read) break;
      if (state === ENDED) return undefined;
      if (state === FAILED) throw new LaminaError("UNAVAILABLE", "The bytes ceased to come");
      this.#wait(WRITTEN, written);
    }
    const slot = read % SLOTS;
    const count = this.#control[LENGTHS + slot]!;
    const from = slot * RING_CHUNK_BYTES;
    buffer.set(this.#data.subarray(from, from + count));
    Atomics.store(this.#control, READ, read + 1);
    Atomics.notify(this.#control, READ);
    return count === buffer.length ? buffer : buffer.subarray(0, count);
  }

  /** Reader: waits for the end without taking chunks, and gives the writer's note. */
  note(): string {
    Atomics.compareExchange(this.#control, STATE, RUNNING, DISCARDING);
    Atomics.notify(this.#control, READ);
    for (;;) {
      const state = Atomics.load(this.#control, STATE);
      if (state === FAILED) throw new LaminaError("UNAVAILABLE", "The bytes ceased to come");
      if (state === ENDED) break;
      this.#wait(STATE, state);
    }
    return new TextDecoder().decode(this.#note.slice(0, this.#control[NOTE_LENGTH]));
  }

  #set(state: number): void {
    Atomics.store(this.#control, STATE, state);
    for (const word of [STATE, WRITTEN, READ]) Atomics.notify(this.#control, word);
  }

  #wait(word: number, seen: number): void {
    this.#check();
    Atomics.wait(this.#control, word, seen, WAIT_MS);
  }
}
