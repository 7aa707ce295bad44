/**
 * The loop: both worlds, the plan, the operations. It runs when something has happened (a wish, an object, the end of an
 * operation or of a backoff, a mount that somebody took away), and at no other time.
 */
import { LaminaError } from "../../core/errors.ts";
import { ActualWorld } from "./actual_world.ts";
import { Failures } from "./backoff.ts";
import { DesiredWorld } from "./desired_world.ts";
import { Executor, type Outcome, type RunningTask } from "./executor.ts";
import { evidenceOf } from "./evidence.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { ManagerMetrics } from "./metrics.ts";
import { plan } from "./plan.ts";
import { RootWorld } from "./root_world.ts";
import { SourceWatch } from "./source_watch.ts";
import type { PlannedOperation, VolumeKey } from "./states.ts";
import { TaskMaker } from "./tasks.ts";
import { tell, tellWarning } from "./tell.ts";

/** See the head of the file. */
export class Reconciler {
  readonly room: ManagerRoom;
  readonly desired: DesiredWorld;
  readonly actual: ActualWorld;
  readonly roots = new RootWorld();
  readonly failures = new Failures();
  /** What failures miss on the host. */
  readonly sources: SourceWatch;
  readonly metrics = new ManagerMetrics();
  readonly executor: Executor;
  /** Volumes that another workload has for itself. */
  exclusive: ReadonlyMap<VolumeKey, string> = new Map();
  readonly #tasks: TaskMaker;
  readonly #onProgress: (uid: string | undefined) => void;
  #complete = false;
  #closed = false;
  #due = false;
  #stopBackoff: (() => void) | undefined;

  /** @param onProgress Called when an operation has ended: with the workload it was for, or `undefined` for all. */
  constructor(room: ManagerRoom, onProgress: (uid: string | undefined) => void) {
    this.room = room;
    this.desired = new DesiredWorld(room.plugins);
    this.actual = new ActualWorld(room.layout);
    this.#onProgress = onProgress;
    this.#tasks = new TaskMaker(room, this.desired, this.actual, this.roots);
    this.sources = new SourceWatch(room.host, (id) => {
      this.failures.retryNow(id);
      this.wake();
    });
    this.executor = new Executor(room.host, {
      ended: (outcome) => this.#ended(outcome),
      stuck: (running) => this.#stuck(running),
      warned: ({ planned }, message) => tellWarning(this, planned, message),
    });
  }

  /** Something has happened: a pass follows, one for all that happens in this turn. */
  wake(): void {
    if (this.#due || this.#closed) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      if (!this.#closed) this.#pass();
    });
  }

  /** From now on what nobody wants is unmounted. */
  complete(): void {
    this.#complete = true;
    this.wake();
  }

  get isComplete(): boolean {
    return this.#complete;
  }

  /** Starts nothing any more, cancels what runs and waits for it, at most `patience_ms`. */
  async close(patience_ms: number): Promise<void> {
    this.#closed = true;
    this.#stopBackoff?.();
    this.sources.stop();
    await this.executor.close(patience_ms);
  }

  #pass(): void {
    const begun_ms = performance.now();
    this.#stopBackoff?.();
    this.#stopBackoff = undefined;
    const now_ms = this.room.host.now_ms();
    const { operations, wakeAt_ms, due, exclusive } = plan({
      desired: this.desired.volumes,
      volumes: this.actual.volumes,
      devices: this.actual.devices,
      roots: this.roots.facts(),
      running: this.executor.keys,
      notBefore_ms: this.failures.notBefore_ms,
      now_ms,
      complete: this.#complete,
    });
    this.exclusive = exclusive;
    this.failures.keepOnly(due);
    this.sources.update(this.failures.values());
    for (const group of together(operations)) this.executor.start(this.#tasks.make(group));
    if (wakeAt_ms !== undefined) {
      this.#stopBackoff = this.room.host.timer(Math.max(0, wakeAt_ms - now_ms), () => this.wake());
    }
    this.metrics.reconcile(performance.now() - begun_ms);
  }

  #ended(outcome: Outcome): void {
    const { task, error, cancelled, duration_ms } = outcome;
    const { planned } = task;
    if (this.#closed) return;
    if (error === undefined) {
      this.failures.clear(planned.id);
    } else if (!cancelled) {
      this.failures.add(planned.id, error, this.room.host.now_ms(), evidenceOf(error, planned, this));
    }
    if (!cancelled) {
      this.metrics.operation(task.plugin, planned.name, error === undefined ? "success" : "fail-unknown", duration_ms);
      tell(this, task, error);
    }
    this.#changed(planned);
  }

  #stuck(running: RunningTask): void {
    const { planned, plugin } = running.task;
    tell(this, running.task, stuckError(running.stuck!, plugin));
    this.#changed(planned);
  }

  #changed(planned: PlannedOperation): void {
    this.wake();
    this.#onProgress(planned.device === undefined ? planned.volume?.split("/")[0] : undefined);
  }
}

/** What a waiter is told of a call that does not end. */
export function stuckError(error: LaminaError, plugin: string): LaminaError {
  return new LaminaError(error.code, `${error.message}, and the volume plugin ${plugin} does not let go`, {
    cause: error,
    details: error.details,
  });
}

/** Mounts of one workload go together, and so do unmounts; everything else by itself. The order is kept. */
function together(operations: readonly PlannedOperation[]): PlannedOperation[][] {
  const groups = new Map<string, PlannedOperation[]>();
  for (const operation of operations) {
    const batched = operation.name === "volume_mount" || operation.name === "volume_unmount";
    const key = batched ? `${operation.name} ${operation.volume!.split("/")[0]}` : operation.id;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [operation]);
    else group.push(operation);
  }
  return [...groups.values()];
}
