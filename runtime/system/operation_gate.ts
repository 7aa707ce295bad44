/** Counts what runs, and lets the runtime end in an orderly way. */
import { setTimeout as delay } from "node:timers/promises";
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { onEnd } from "../core/streams.ts";
import { hostError } from "../host/errno_errors.ts";

/** How long an operation that must be alone waits for the others, and how often it looks. */
const ALONE_WAIT_MS = 10_000;
const ALONE_LOOK_MS = 20;

/** Every operation of a runtime passes here. */
export class OperationGate {
  readonly #shutdown = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #closing = false;
  /** Why nothing else may run now. */
  #alone: string | undefined;

  /** How many operations run now. */
  get running(): number {
    return this.#running.size;
  }

  /** Aborts when the runtime has lost patience with what runs. */
  get signal(): AbortSignal {
    return this.#shutdown.signal;
  }

  /** @throws `UNAVAILABLE` once the runtime is ending. */
  assertOpen(): void {
    if (this.#closing) {
      throw new LaminaError("UNAVAILABLE", "The runtime is shutting down: no new operation begins. Try again later");
    }
  }

  /**
   * Runs `body` with an operation that is also aborted by the shutdown. One that answers with a stream runs until the
   * stream has ended, failed or was cancelled.
   *
   * @throws `UNAVAILABLE` once the runtime is ending, else what `body` throws, as a `LaminaError` in any case.
   */
  async run<T>(operation: Operation, body: (operation: Operation) => Promise<T>): Promise<T> {
    this.assertOpen();
    if (this.#alone !== undefined) {
      throw new LaminaError("UNAVAILABLE", `No operation can begin now: ${this.#alone}. Try again when that is done`);
    }
    const done = Promise.withResolvers<void>();
    this.#running.add(done.promise);
    const leave = () => {
      this.#running.delete(done.promise);
      done.resolve();
    };
    try {
      const inner = { ...operation, signal: AbortSignal.any([operation.signal, this.#shutdown.signal]) };
      const result = await body(inner);
      if (result instanceof ReadableStream) return onEnd(result, leave, inner.signal) as T;
      leave();
      return result;
    } catch (error) {
      leave();
      throw hostError(error, "The operation failed");
    }
  }

  /**
   * Runs `body` as the only operation; called from within one that {@linkcode run} has let in. New ones are refused
   * meanwhile, those that run are waited for.
   *
   * @param why What goes on, for the refusals.
   * @throws `CONFLICT` when the others do not end, or somebody else wants to be alone.
   */
  async alone<T>(why: string, operation: Operation, body: () => Promise<T>): Promise<T> {
    if (this.#alone !== undefined) throw new LaminaError("CONFLICT", `Cannot begin: ${this.#alone}`);
    this.#alone = why;
    try {
      const deadline = Date.now() + ALONE_WAIT_MS;
      while (this.running > 1) {
        operation.signal.throwIfAborted();
        if (Date.now() > deadline) {
          const others = this.running - 1;
          throw new LaminaError(
            "CONFLICT",
            `Cannot begin while ${others} other operation${
              others === 1 ? "" : "s"
            } run. Try again when they have ended`,
          );
        }
        await delay(ALONE_LOOK_MS);
      }
      return await body();
    } finally {
      this.#alone = undefined;
    }
  }

  /**
   * Refuses new operations, waits `grace_ms` for those that run, then aborts them and waits until they have rolled back.
   *
   * @param patience_ms What the roll-back may take; whatever hangs longer is left to the next start's recovery.
   */
  async close(grace_ms: number, patience_ms: number): Promise<void> {
    this.#closing = true;
    if (await this.#idleWithin(grace_ms)) {
      this.#shutdown.abort(new LaminaError("UNAVAILABLE", "The runtime has shut down"));
      return;
    }
    this.#shutdown.abort(
      new LaminaError("UNAVAILABLE", "The runtime is shutting down: the operation was stopped and undone"),
    );
    await this.#idleWithin(patience_ms);
  }

  async #idleWithin(timeout_ms: number): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    // Not AbortSignal.timeout, which does not keep the process alive: a shutdown may have nothing else to wait for.
    const timer = setTimeout(() => late.resolve(false), timeout_ms);
    try {
      while (this.#running.size > 0) {
        const ended = Promise.allSettled(this.#running).then(() => true);
        if (!await Promise.race([ended, late.promise])) return false;
      }
      return true;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * A service whose every verb passes the gate: those that are given an {@linkcode Operation} through
 * {@linkcode OperationGate.run}, the others, which answer at once, only while the gate is open.
 */
export function throughGate<T extends object>(gate: OperationGate, service: T): T {
  return new Proxy(service, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const at = args.findIndex(isOperation);
        if (at >= 0) {
          return gate.run(args[at] as Operation, (operation) => member.apply(target, args.with(at, operation)));
        }
        gate.assertOpen();
        return member.apply(target, args);
      };
    },
  });
}

function isOperation(value: unknown): value is Operation {
  return typeof value === "object" && value !== null && "signal" in value && "progress" in value;
}
