/** What every operation of Lamina is given besides its arguments. */

/** One step of a long operation, for a progress bar or an NDJSON stream. */
export interface ProgressEvent {
  /** What is being done: `read`, `unpack`, `copy`, `export`, `verify`, … */
  readonly phase: string;
  /** What it is done to (a short digest, a name). */
  readonly id: string;
  /** Done so far; bytes unless `unit` says otherwise. */
  readonly current: number;
  /** The whole, where it is known. */
  readonly total?: number;
  /** `bytes` (default), `entries` or `steps`. */
  readonly unit?: "bytes" | "entries" | "steps";
  /** A line for people, e.g. `exists already`. */
  readonly message?: string;
}

/** The caller's patience and its interest in progress. */
export interface Operation {
  /** Aborts the operation: deadline, caller gone, or shutdown. What was begun is undone. */
  readonly signal: AbortSignal;
  /** Receives progress; must not throw. */
  readonly progress: (event: ProgressEvent) => void;
}

/** An operation that nobody cancels and nobody watches. For start-up, tests and scripts. */
export function backgroundOperation(): Operation {
  return { signal: new AbortController().signal, progress: () => {} };
}

/**
 * The same operation with a deadline of its own besides the caller's.
 *
 * @param timeout_ms Milliseconds from now.
 */
export function withDeadline(operation: Operation, timeout_ms: number): Operation {
  return { ...operation, signal: AbortSignal.any([operation.signal, AbortSignal.timeout(timeout_ms)]) };
}
