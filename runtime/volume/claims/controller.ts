/**
 * Brings claims, volumes and snapshots to what they should be, whenever an object changes: plan, one action an object,
 * plan again. Between changes it does nothing. All that it knows is in the objects, so a start is a change like others.
 */
import { type LaminaError, toLaminaError } from "../../core/errors.ts";
import type { KubeObject, ObjectChange } from "../../objects/port.ts";
import { Failures } from "../manager/backoff.ts";
import { type ClaimRoom, tell } from "./claim_room.ts";
import { failureReason, notice, objectOf, perform } from "./perform.ts";
import { type Action, plan, type World } from "./plan.ts";
import { claimOf, claimUsers, classOf, snapshotOf, volumeOf } from "./views.ts";

/** Longest time for one action: a big image is formatted, a tree deleted. */
const ACTION_TIMEOUT_MS = 1_800_000;
/** Actions at a time: each may be a mkfs. */
const MAX_RUNNING = 8;

/** See the head of the file. */
export class ClaimController implements AsyncDisposable {
  readonly #room: ClaimRoom;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  readonly #failures = new Failures();
  /** What was said last about an object, by uid. */
  readonly #told = new Map<string, string>();
  readonly #views = new WeakMap<KubeObject, unknown>();
  #unwatch: (() => void) | undefined;
  #scheduled = false;
  #retry: number | undefined;
  #quiet: PromiseWithResolvers<void> | undefined;

  constructor(room: ClaimRoom) {
    this.#room = room;
  }

  /** Begins to watch, and looks at everything once. */
  start(): void {
    this.#unwatch = this.#room.objects.watch((change) => this.#onChange(change));
    this.#schedule();
  }

  /** Waits until there is nothing to do now; what failed and waits for its next try does not count. */
  async quiet(signal: AbortSignal): Promise<void> {
    while (this.#scheduled || this.#running.size > 0) {
      signal.throwIfAborted();
      this.#quiet ??= Promise.withResolvers();
      const aborted = Promise.withResolvers<never>();
      const onAbort = () => aborted.reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        await Promise.race([this.#quiet.promise, aborted.promise]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    }
  }

  /** Stops what runs; the next start finishes or undoes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#unwatch?.();
    clearTimeout(this.#retry);
    this.#stop.abort(new DOMException("The runtime is shutting down", "AbortError"));
    await Promise.allSettled(this.#running.values());
  }

  #onChange({ type, object }: ObjectChange): void {
    if (!LOOKED_AT.has(object.kind)) return;
    if (type === "deleted") this.#told.delete(object.metadata.uid);
    // What the change may have put right need not wait.
    if (object.kind === "StorageClass" || object.kind === "Pod") {
      for (const { id } of this.#failures.values()) this.#failures.retryNow(id);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stop.signal.aborted) return;
    this.#scheduled = true;
    // Changes that come together are looked at together.
    setTimeout(() => {
      this.#scheduled = false;
      if (!this.#stop.signal.aborted) this.#pass();
    }, 0);
  }

  #pass(): void {
    const now = Date.now();
    const wanted = new Set<string>();
    for (const action of plan(this.#world())) {
      const object = objectOf(action), uid = object.metadata.uid, id = `${action.kind}:${uid}`;
      wanted.add(id);
      this.#say(action, object);
      if (this.#running.has(uid) || (this.#failures.notBefore_ms.get(id) ?? 0) > now) continue;
      if (this.#running.size >= MAX_RUNNING) continue;
      if (isDone(action)) continue;
      this.#running.set(uid, this.#run(id, action, object));
    }
    for (const { id } of [...this.#failures.values()]) {
      const uid = id.slice(id.indexOf(":") + 1);
      if (!wanted.has(id) && !this.#running.has(uid)) this.#failures.clear(id);
    }
    this.#scheduleRetry(now);
    if (this.#running.size === 0 && !this.#scheduled) {
      this.#quiet?.resolve();
      this.#quiet = undefined;
    }
  }

  async #run(id: string, action: Action, object: KubeObject): Promise<void> {
    const uid = object.metadata.uid;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ACTION_TIMEOUT_MS)]);
    try {
      const done = await perform(this.#room, action, { signal, progress: () => {} });
      if (done) this.#failures.clear(id);
      else this.#failures.add(id, toLaminaError(new Error("not finished"), id), Date.now());
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failed(id, action, object, toLaminaError(error, "The operation failed"));
    } finally {
      this.#running.delete(uid);
      this.#schedule();
    }
  }

  #failed(id: string, action: Action, object: KubeObject, error: LaminaError): void {
    this.#failures.add(id, error, Date.now());
    const what = action.kind === "provision"
      ? `failed to provision volume with StorageClass "${action.class.name}": `
      : "";
    tell(this.#room, object, "Warning", failureReason(action), what + error.message);
  }

  /** What the plan itself says, when it says something else than before. */
  #say(action: Action, object: KubeObject): void {
    const said = notice(action);
    const uid = object.metadata.uid;
    if (said === undefined) {
      this.#told.delete(uid);
      return;
    }
    const text = `${said.reason}: ${said.message}`;
    if (this.#told.get(uid) === text) return;
    this.#told.set(uid, text);
    tell(this.#room, object, said.type, said.reason, said.message);
  }

  #scheduleRetry(now_ms: number): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const next_ms = Math.min(...this.#failures.notBefore_ms.values());
    if (!Number.isFinite(next_ms)) return;
    // What is due and runs already comes back by itself.
    this.#retry = setTimeout(() => this.#schedule(), Math.max(50, next_ms - now_ms));
    Deno.unrefTimer(this.#retry);
  }

  #world(): World {
    const { objects, node, provisioners } = this.#room;
    const all = <T>(kind: string, read: (object: KubeObject) => T) =>
      objects.list(kind).map((object) => this.#view(object, read));
    return {
      claims: all("PersistentVolumeClaim", claimOf),
      volumes: all("PersistentVolume", volumeOf),
      classes: all("StorageClass", classOf),
      snapshots: all("VolumeSnapshot", snapshotOf),
      users: claimUsers(objects.list("Pod")),
      node,
      provisioners: [...provisioners.keys()],
    };
  }

  /** Objects never change; a new version is a new one. */
  #view<T>(object: KubeObject, read: (object: KubeObject) => T): T {
    let view = this.#views.get(object) as T | undefined;
    if (view === undefined) this.#views.set(object, view = read(object));
    return view;
  }
}

const LOOKED_AT: ReadonlySet<string> = new Set([
  "Pod",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "StorageClass",
  "VolumeSnapshot",
]);

/** Nothing to write: people were told. */
function isDone(action: Action): boolean {
  return action.kind === "refuse_expand" || action.kind === "warn_volume" ||
    (action.kind === "wait" && action.claim.phase !== undefined) ||
    // Written once, unless the reason is another one now.
    (action.kind === "fail_snapshot" && errorOf(action.snapshot.object) === action.message);
}

function errorOf(snapshot: KubeObject): string | undefined {
  return (snapshot.status as { error?: { message?: string } } | undefined)?.error?.message;
}
