/**
 * A machine in memory: clock, mount table, directories, mounter. It does only what it is told, in an order that a seed
 * decides, and it can be killed: what a dead process has begun has no effect any more.
 */
import { setImmediate } from "node:timers";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import { placeInTable } from "../../../runtime/core/mount_place.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import type { ManagerHost } from "../../../runtime/volume/manager/manager_host.ts";

interface Timer {
  readonly at_ms: number;
  readonly process: number;
  readonly body: () => void;
}

/** What becomes of an effect: `before` and `after` are failures, at `die` the program is killed on either side of it. */
export type Fault = "none" | "before" | "after" | "slow" | "die before" | "die after";

/** A mount with its maker. */
export type FakeMount = MountEntry & { readonly foreign: boolean };

/** See the head of the file. */
export class FakeNode {
  now_ms = 1_000_000;
  boot = "boot 1";
  /** Bottom first, as the kernel has them. */
  table: FakeMount[] = [];
  readonly directories = new Set<string>();
  readonly files = new Set<string>();
  /** Mount points in use: not to be unmounted. */
  readonly busy = new Set<string>();
  /** Counts the lives of the program. */
  process = 0;
  readonly violations: string[] = [];
  /** What a look at the mount table takes. */
  lookCost_ms = 0;
  /** Decides before each effect: whether it fails, takes time, or happens. */
  fault: (what: string) => Fault = () => "none";
  /** Mount points that somebody else has emptied. */
  readonly takenAway = new Set<string>();
  /** Called before something is taken away. */
  onUnmount: (target: string, mount: FakeMount) => void = () => {};
  onKill: () => void = () => {};
  #nextMount = 1;
  #timers: Timer[] = [];
  #watchers: Array<{ readonly process: number; wake: () => void }> = [];

  /** The program dies; a new one may be started. */
  kill(): void {
    this.process++;
    this.onKill();
    this.#timers = [];
    this.#watchers = [];
  }

  /** The machine with it: mounts are gone, files stay. */
  reboot(): void {
    this.boot = `boot ${this.process + 2}`;
    this.table = [];
    this.busy.clear();
  }

  /** Lets time pass; what is due happens in its order. */
  async advance(ms: number): Promise<void> {
    const end_ms = this.now_ms + ms;
    await this.settle();
    for (;;) {
      const next = this.#timers.reduce<Timer | undefined>(
        (first, timer) => timer.at_ms <= end_ms && (first === undefined || timer.at_ms < first.at_ms) ? timer : first,
        undefined,
      );
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.now_ms = Math.max(this.now_ms, next.at_ms);
      next.body();
      await this.settle();
    }
    this.now_ms = end_ms;
  }

  /** Until nothing happens any more without time passing. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Resolves after so much time; never for a process that has died. */
  sleep(ms: number, process: number): Promise<void> {
    return new Promise((resolve) => this.#addTimer(ms, process, resolve));
  }

  /** Never resolves for a process that has died: its code stops there. To be awaited only when {@linkcode isDead}. */
  readonly never: Promise<never> = new Promise<never>(() => {});

  isDead(process: number): boolean {
    return process !== this.process;
  }

  /** Mounts, as the kernel does. */
  mountNow(mount: Pick<Mount, "type" | "source" | "target">, foreign = false): void {
    const bind = mount.type === "bind" ? placeInTable([rootMount, ...this.table], mount.source)! : undefined;
    const id = this.#nextMount++;
    // A disk has its number, whoever mounts it; memory gets a new one.
    const device = mount.type === "xfs" ? `9:${mount.source}` : `0:${id}`;
    if (!foreign) this.takenAway.delete(mount.target);
    this.table.push({
      id,
      parentId: 0,
      device: bind?.device ?? device,
      root: bind?.root ?? "/",
      target: mount.target,
      options: ["rw"],
      propagation: [],
      type: bind === undefined ? mount.type : "ext4",
      source: bind === undefined ? mount.source : "/dev/disk",
      superOptions: "",
      deleted: false,
      foreign,
    });
    this.#tableChanged();
  }

  /** Takes the topmost mount of a place away, whoever asks. */
  unmountNow(target: string): void {
    const at = this.table.findLastIndex((entry) => entry.target === target);
    if (at < 0) return;
    this.table.splice(at, 1);
    this.#tableChanged();
  }

  top(target: string): FakeMount | undefined {
    return this.table.findLast((entry) => entry.target === target);
  }

  /** What of the machine the program of this life sees. */
  host(): ManagerHost {
    const process = this.process;
    return {
      now_ms: () => this.now_ms,
      timer: (delay_ms, body) => this.#addTimer(delay_ms, process, body),
      bootId: () => this.boot,
      // The file system of all binds and directories, as on a real machine.
      mountTable: () => {
        this.now_ms += this.lookCost_ms;
        return [rootMount, ...this.table];
      },
      watchMounts: (signal) => this.#watch(process, signal),
      mountIdAt: (path) => {
        const top = this.top(path);
        return top === undefined ? undefined : BigInt(top.id);
      },
      canonical: (path) => Promise.resolve(path),
      inodeAt: () => Promise.resolve(0),
      directoryAbove: () => Promise.resolve("/"),
      watchDirectories: () => {},
      kindOf: (path) => Promise.resolve(path.includes("file") ? "file" : "directory"),
      makePlace: (path, kind) => {
        if (process !== this.process) return;
        if (kind === "file") this.files.add(path);
        else for (let at = path; at !== "/"; at = parent(at)) this.directories.add(at);
      },
      removePlace: (path) => {
        if (process !== this.process) return;
        if (this.top(path) !== undefined) this.violations.push(`removes ${path}, which is a mount point`);
        const inside = this.childOf(path);
        if (inside !== undefined) throw new LaminaError("CONFLICT", `${path} holds ${inside}`, { details: { path } });
        this.directories.delete(path);
        this.files.delete(path);
      },
      removeEmptyAbove: (path, top) => {
        for (let at = path; at !== top && this.childOf(at) === undefined; at = parent(at)) this.directories.delete(at);
      },
    };
  }

  childOf(path: string): string | undefined {
    for (const set of [this.directories, this.files]) {
      for (const other of set) if (other.startsWith(`${path}/`)) return other;
    }
    return undefined;
  }

  /** The mounter of this life. */
  mounter(): Mounter {
    const process = this.process;
    return {
      name: "command",
      mount: async (mounts, { signal }) => {
        const made: string[] = [];
        try {
          for (const mount of mounts) {
            if (mount.type === "none") continue;
            await this.act(`mount ${mount.target}`, process, signal, () => {
              this.mountNow(mount);
              made.push(mount.target);
            });
          }
        } catch (error) {
          for (const target of made.reverse()) this.unmountNow(target);
          throw error;
        }
      },
      unmount: async (targets, { signal }) => {
        const errors: unknown[] = [];
        for (const target of targets) {
          try {
            await this.act(`unmount ${target}`, process, signal, () => {
              const top = this.top(target);
              if (top === undefined) return;
              if (this.busy.has(target)) {
                throw new LaminaError("CONFLICT", `Cannot unmount ${target}: it is in use`, { details: { target } });
              }
              this.onUnmount(target, top);
              this.unmountNow(target);
            });
          } catch (error) {
            errors.push(error);
          }
        }
        if (errors.length > 0) throw errors[0];
      },
    };
  }

  /** An effect: at once, later, not at all, or with a failure behind it. */
  async act(what: string, process: number, signal: AbortSignal, effect: () => void): Promise<void> {
    if (this.isDead(process)) await this.never;
    signal.throwIfAborted();
    const fault = this.fault(what);
    if (fault === "slow") {
      await Promise.race([
        this.sleep(5000, process),
        new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
      ]);
      if (this.isDead(process)) await this.never;
      signal.throwIfAborted();
    }
    if (fault === "before") throw injected(what, "final");
    if (fault === "die before") this.kill();
    if (this.isDead(process)) await this.never;
    effect();
    if (fault === "die after") this.kill();
    if (this.isDead(process)) await this.never;
    if (fault === "after") throw injected(what, "uncertain");
  }

  #addTimer(delay_ms: number, process: number, body: () => void): () => void {
    if (process !== this.process) return () => {};
    const timer = { at_ms: this.now_ms + Math.max(0, delay_ms), process, body };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  #tableChanged(): void {
    for (const watcher of this.#watchers) watcher.wake();
  }

  async *#watch(process: number, signal: AbortSignal): AsyncGenerator<void, void, void> {
    let changed = Promise.withResolvers<void>();
    const watcher = { process, wake: () => changed.resolve() };
    this.#watchers.push(watcher);
    signal.addEventListener("abort", watcher.wake, { once: true });
    yield;
    while (!signal.aborted && process === this.process) {
      await changed.promise;
      changed = Promise.withResolvers();
      if (!signal.aborted && process === this.process) yield;
    }
  }
}

function injected(what: string, failure_class: string): LaminaError {
  const code = failure_class === "final" ? "CONFLICT" : "UNAVAILABLE";
  return new LaminaError(code, `injected: ${what}`, { details: { failure_class } });
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

const rootMount: FakeMount = {
  id: 0,
  parentId: 0,
  device: "8:1",
  root: "/",
  target: "/",
  options: ["rw"],
  propagation: [],
  type: "ext4",
  source: "/dev/disk",
  superOptions: "",
  deleted: false,
  foreign: false,
};
