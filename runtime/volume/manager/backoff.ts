/** How long what failed waits for its next try: half a second, then twice as long each time, at most about two minutes. */
import type { LaminaError } from "../../core/errors.ts";

const FIRST_MS = 500;
const MOST_MS = 122_000;

/** An operation that failed, and has not succeeded since. */
export interface Failure {
  readonly id: string;
  readonly attempts: number;
  /** Milliseconds since the epoch; of the first failure. */
  readonly since_ms: number;
  /** Likewise; of the next try. */
  readonly next_ms: number;
  readonly error: LaminaError;
  /** What of the mount table the failure may have to do with; another text calls for a try at once. */
  readonly evidence?: string;
}

/** Pauses by number of failures. */
export function backoff_ms(attempts: number): number {
  return Math.min(FIRST_MS * 2 ** (attempts - 1), MOST_MS);
}

/** All failures, by id of their operation. */
export class Failures {
  readonly #failures = new Map<string, Failure>();
  readonly #next = new Map<string, number>();

  /** For {@linkcode plan}. */
  get notBefore_ms(): ReadonlyMap<string, number> {
    return this.#next;
  }

  get(id: string): Failure | undefined {
    return this.#failures.get(id);
  }

  values(): Iterable<Failure> {
    return this.#failures.values();
  }

  get size(): number {
    return this.#failures.size;
  }

  /** Notes one more. */
  add(id: string, error: LaminaError, now_ms: number, evidence?: string): Failure {
    const before = this.#failures.get(id);
    const attempts = (before?.attempts ?? 0) + 1;
    const next_ms = now_ms + backoff_ms(attempts);
    const failure = { id, attempts, since_ms: before?.since_ms ?? now_ms, next_ms, error, evidence };
    this.#failures.set(id, failure);
    this.#next.set(id, next_ms);
    return failure;
  }

  /** It succeeded, or is not to be done any more. */
  clear(id: string): void {
    this.#failures.delete(id);
    this.#next.delete(id);
  }

  /** Forgets what is not to be done any more. */
  keepOnly(due: ReadonlySet<string>): void {
    for (const id of this.#failures.keys()) if (!due.has(id)) this.clear(id);
  }

  /** Something has changed: the next try may come now. What failed last is remembered until then. */
  retryNow(id: string): void {
    const failure = this.#failures.get(id);
    if (failure === undefined) return;
    this.#failures.set(id, { ...failure, attempts: 0, next_ms: 0 });
    this.#next.delete(id);
  }
}
