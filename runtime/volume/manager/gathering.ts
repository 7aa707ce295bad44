/**
 * What several volumes of one workload want mounted or unmounted at the same time is done in one call, which the mounter
 * makes in one process. Who takes long keeps nobody waiting for more than a moment.
 */
import type { Mount } from "../../core/mount.ts";
import type { Mounter } from "../../host/mounter.ts";

/** How long those that are ready wait for the others. */
const PATIENCE_MS = 25;

interface Waiting<Item> {
  readonly items: readonly Item[];
  readonly signal: AbortSignal;
  readonly done: PromiseWithResolvers<void>;
}

/** See the head of the file. Each of the expected members calls {@linkcode Gathering.join} or {@linkcode Gathering.leave}. */
export class Gathering<Item> {
  readonly #perform: (items: readonly Item[], signal: AbortSignal) => Promise<void>;
  readonly #timer: (delay_ms: number, body: () => void) => () => void;
  #expected: number;
  #waiting: Array<Waiting<Item>> = [];
  #stopTimer: (() => void) | undefined;

  constructor(
    expected: number,
    perform: (items: readonly Item[], signal: AbortSignal) => Promise<void>,
    timer: (delay_ms: number, body: () => void) => () => void,
  ) {
    this.#expected = expected;
    this.#perform = perform;
    this.#timer = timer;
  }

  /** Waits until these items are done, with those of the others. @throws what its own items fail with. */
  join(items: readonly Item[], signal: AbortSignal): Promise<void> {
    this.#expected--;
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ items, signal, done });
    if (this.#expected <= 0) this.#flush();
    else this.#stopTimer ??= this.#timer(PATIENCE_MS, () => this.#flush());
    return done.promise;
  }

  /** A member that has nothing to do, or does not come any more. */
  leave(): void {
    this.#expected--;
    if (this.#expected <= 0) this.#flush();
  }

  #flush(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const members = this.#waiting;
    this.#waiting = [];
    if (members.length > 0) void this.#run(members);
  }

  async #run(members: ReadonlyArray<Waiting<Item>>): Promise<void> {
    if (members.length > 1) {
      try {
        await this.#perform(
          members.flatMap(({ items }) => items),
          AbortSignal.any(members.map(({ signal }) => signal)),
        );
        members.forEach(({ done }) => done.resolve());
        return;
      } catch {
        // One of them failed, or gave up: each by itself tells which.
      }
    }
    await Promise.all(
      members.map(({ items, signal, done }) =>
        this.#perform(items, signal).then(() => done.resolve(), (error) => done.reject(error))
      ),
    );
  }
}

/** Mounts of several volumes. */
export type MountGathering = Gathering<Mount>;
/** Targets of several volumes. */
export type UnmountGathering = Gathering<string>;

/** For `expected` volumes that come up together. */
export function gatherMounts(
  expected: number,
  mounter: Mounter,
  timer: (delay_ms: number, body: () => void) => () => void,
): MountGathering {
  return new Gathering(expected, (mounts, signal) => mounter.mount(mounts, { signal }), timer);
}

/** For `expected` volumes that go together. */
export function gatherUnmounts(
  expected: number,
  mounter: Mounter,
  timer: (delay_ms: number, body: () => void) => () => void,
): UnmountGathering {
  return new Gathering(expected, (targets, signal) => mounter.unmount(targets, { signal }), timer);
}
