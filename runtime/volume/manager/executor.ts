/**
 * Runs operations: one a key, each with a deadline and a signal, a bounded number of batches at a time.
 *
 * The bound is soft: a batch that takes seconds waits for a server or a disk, not for this machine, and lets the next one
 * start. A call that does not even end when it is cancelled keeps its own key, so that nobody calls its plugin for the
 * same volume again, and nothing else.
 */
import type { Workload } from "../../../drivers/volume/port.ts";
import { LaminaError, toLaminaError } from "../../core/errors.ts";
import type { Operation, ProgressEvent } from "../../core/operation.ts";
import type { ManagerHost } from "./manager_host.ts";
import type { PlannedOperation } from "./states.ts";

/** Batches that may run at a time. */
const SLOTS = 16;
/** After so long a batch gives its slot back. */
const SLOT_MS = 5000;
/** What a cancelled call may take to end, before its caller is told that it does not. */
const GRACE_MS = 5000;

/** Something to be run. */
export interface Task {
  readonly planned: PlannedOperation;
  readonly plugin: string;
  /** Whom it is for; absent: for nobody, or for all who share a device. */
  readonly workload?: Pick<Workload, "kind" | "uid" | "name" | "namespace">;
  readonly deadline_ms: number;
  run(operation: Operation): Promise<void>;
  /** Called instead of {@linkcode Task.run} when it was cancelled before it began. */
  skip?(): void;
}

/** How a task ended. */
export interface Outcome {
  readonly task: Task;
  /** Absent: it succeeded. */
  readonly error?: LaminaError;
  /** The wish has changed meanwhile: no failure. */
  readonly cancelled: boolean;
  readonly duration_ms: number;
}

/** A task between its start and its end. */
export interface RunningTask {
  readonly task: Task;
  /** Milliseconds since the epoch. */
  readonly since_ms: number;
  readonly controller: AbortController;
  cancelled: boolean;
  /** It was cancelled or is late, and does not end. */
  stuck?: LaminaError;
  progress?: ProgressEvent;
}

/** What the executor tells. */
export interface ExecutorEvents {
  /** The key is free again. */
  ended(outcome: Outcome): void;
  /** A deadline and more has passed, and the plugin does not let go. It may still end. */
  stuck(running: RunningTask): void;
  /** The task goes on, but not all that was asked for can be had (a progress event of the phase `warning`). */
  warned(task: Task, message: string): void;
}

/** See the head of the file. */
export class Executor {
  readonly #host: ManagerHost;
  readonly #events: ExecutorEvents;
  readonly #running = new Map<string, RunningTask>();
  readonly #keys = new Set<string>();
  readonly #queue: Array<() => void> = [];
  readonly #promises = new Set<Promise<void>>();
  #free = SLOTS;

  constructor(host: ManagerHost, events: ExecutorEvents) {
    this.#host = host;
    this.#events = events;
  }

  /** Keys that are held. */
  get keys(): ReadonlySet<string> {
    return this.#keys;
  }

  /** By key. */
  get running(): ReadonlyMap<string, RunningTask> {
    return this.#running;
  }

  /** Starts tasks that belong together, now or when there is room. Their keys are held from now on. */
  start(tasks: readonly Task[]): void {
    const batch = tasks.map((task): RunningTask => {
      const running = {
        task,
        since_ms: this.#host.now_ms(),
        controller: new AbortController(),
        cancelled: false,
      };
      this.#running.set(task.planned.key, running);
      this.#keys.add(task.planned.key);
      return running;
    });
    const begin = () => {
      const promise = this.#runBatch(batch).finally(() => this.#promises.delete(promise));
      this.#promises.add(promise);
    };
    if (this.#free > 0) {
      this.#free--;
      begin();
    } else this.#queue.push(begin);
  }

  /** The task's wish is gone: it is told to stop, and what it says is no failure. */
  cancel(running: RunningTask, why: string): void {
    if (running.cancelled) return;
    running.cancelled = true;
    running.controller.abort(new LaminaError("CANCELLED", why));
  }

  /** Cancels everything and waits for it, at most `patience_ms`. */
  async close(patience_ms: number): Promise<void> {
    this.#queue.splice(0).forEach((begin) => begin());
    for (const running of this.#running.values()) this.cancel(running, "The runtime is shutting down");
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => late.resolve(), patience_ms);
    await Promise.race([Promise.allSettled(this.#promises), late.promise]);
    clearTimeout(timer);
  }

  async #runBatch(batch: readonly RunningTask[]): Promise<void> {
    let held = true;
    const giveBack = () => {
      if (!held) return;
      held = false;
      const next = this.#queue.shift();
      if (next === undefined) this.#free++;
      else next();
    };
    const stop = this.#host.timer(SLOT_MS, giveBack);
    await Promise.all(batch.map((running) => this.#runOne(running)));
    stop();
    giveBack();
  }

  async #runOne(running: RunningTask): Promise<void> {
    const { task, controller } = running;
    const { signal } = controller;
    const begun_ms = this.#host.now_ms();
    let error: LaminaError | undefined;
    let stopWaiting = () => {};
    const stopDeadline = this.#host.timer(task.deadline_ms, () => {
      const why = `The deadline of ${task.deadline_ms / 1000} s passed`;
      controller.abort(new LaminaError("DEADLINE_EXCEEDED", why));
    });
    const onAbort = () => {
      stopWaiting = this.#host.timer(GRACE_MS, () => {
        running.stuck = toLaminaError(signal.reason, "Cancelled");
        this.#events.stuck(running);
      });
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) {
        task.skip?.();
        signal.throwIfAborted();
      }
      const progress = (event: ProgressEvent) => {
        if (event.phase === "warning") this.#events.warned(task, event.message ?? event.id);
        else running.progress = event;
      };
      await task.run({ signal, progress });
    } catch (thrown) {
      error = toLaminaError(thrown, `Cannot ${task.planned.name}`);
      // The step that was cut short knows only that: the reason is the deadline.
      if (signal.aborted && error.code === "CANCELLED") error = toLaminaError(signal.reason, error.message);
    }
    stopDeadline();
    stopWaiting();
    signal.removeEventListener("abort", onAbort);
    this.#running.delete(task.planned.key);
    this.#keys.delete(task.planned.key);
    const duration_ms = this.#host.now_ms() - begun_ms;
    this.#events.ended({ task, error, cancelled: running.cancelled && error !== undefined, duration_ms });
  }
}
