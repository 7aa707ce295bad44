/** Keeps every applied pod's storage as the pod says. Event driven: idle, it does nothing. */
import { LaminaError, messageOf } from "../core/errors.ts";
import type { KubeObject, ObjectChange } from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";
import { removeOrphans } from "./pod_containers.ts";
import type { ObjectEvent } from "../objects/port.ts";
import type { PodRoom } from "./pod_room.ts";
import { PodWorker } from "./pod_worker.ts";
import { Slots } from "./slots.ts";

/** Containers that are made or removed at a time. */
const PARALLEL = 16;

/** Reasons of events that tell why a volume is not ready. */
const VOLUME_TROUBLE: ReadonlySet<string> = new Set(["FailedMount", "FailedAttachVolume", "FailedMountDevice"]);

/** What the controller hears of the images. */
export interface ImageEvents {
  listen(since: undefined, signal: AbortSignal): AsyncIterable<{ readonly kind: string; readonly action: string }>;
}

/** Something that went wrong at the start. */
export interface PodProblem {
  readonly object: string;
  readonly message: string;
}

/** See the head of the file. */
export class PodController implements AsyncDisposable {
  readonly #room: PodRoom;
  /** By uid of the pod. */
  readonly #workers = new Map<string, PodWorker>();
  readonly #closing = new AbortController();
  readonly #stops: Array<() => void> = [];

  constructor(room: Omit<PodRoom, "slots">) {
    this.#room = { ...room, slots: new Slots(PARALLEL) };
  }

  /**
   * Tells the volume manager all pods, and begins to work on them. When it returns, the desired world has all that pods
   * want.
   *
   * @returns what went wrong and is not tried again.
   */
  async start(images: ImageEvents, operation: Operation): Promise<PodProblem[]> {
    const problems: PodProblem[] = [];
    const { objects } = this.#room;
    this.#stops.push(objects.watch((change) => this.#onChange(change)), objects.watchEvents((e) => this.#onEvent(e)));
    for (const pod of this.#room.objects.list("Pod")) this.#workerOf(pod).desire();
    try {
      await removeOrphans(this.#room, operation);
    } catch (error) {
      problems.push({ object: "containers of pods that are gone", message: messageOf(error) });
    }
    for (const worker of this.#workers.values()) worker.wake();
    void this.#followImages(images);
    return problems;
  }

  /** Stops; what is mounted stays mounted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stops.forEach((stop) => stop());
    this.#closing.abort(new LaminaError("UNAVAILABLE", "The runtime is shutting down"));
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  #onChange({ type, object }: ObjectChange): void {
    const { name, namespace = "" } = object.metadata;
    switch (object.kind) {
      case "Pod":
        if (type === "added") this.#workerOf(object).wake();
        else this.#workers.get(object.metadata.uid)?.changed(type === "deleted" ? undefined : object);
        // One that waits for a claim which only one pod may have.
        if (type === "deleted") this.#wake((worker) => worker.isIncomplete);
        return;
      case "PersistentVolumeClaim":
        return this.#wake((worker) => isIn(worker, namespace) && worker.usesClaim(name));
      case "PersistentVolume": {
        const claim = (object.spec as { claimRef?: { namespace?: string; name: string } }).claimRef;
        if (claim === undefined) return;
        return this.#wake((worker) => isIn(worker, claim.namespace ?? "default") && worker.usesClaim(claim.name));
      }
      case "ConfigMap":
      case "Secret":
        this.#room.manager.objectChanged({ kind: object.kind, namespace, name });
        return this.#wake((worker) => worker.isIncomplete && isIn(worker, namespace));
    }
  }

  /** What goes wrong with a volume is said in the pod's status, too. */
  #onEvent({ about, reason, message }: ObjectEvent): void {
    if (about.kind !== "Pod" || about.uid === undefined || !VOLUME_TROUBLE.has(reason)) return;
    this.#workers.get(about.uid)?.troubled(message);
  }

  #workerOf(pod: KubeObject): PodWorker {
    const { uid } = pod.metadata;
    const known = this.#workers.get(uid);
    if (known !== undefined) return known;
    const worker = new PodWorker(this.#room, pod, () => this.#workers.delete(uid));
    this.#workers.set(uid, worker);
    return worker;
  }

  #wake(fits: (worker: PodWorker) => boolean): void {
    for (const worker of this.#workers.values()) {
      if (fits(worker)) worker.wake();
    }
  }

  async #followImages(images: ImageEvents): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        for await (const { kind } of images.listen(undefined, this.#closing.signal)) {
          if (kind === "image") this.#wake((worker) => worker.isIncomplete);
        }
      } catch {
        // Too many at once to be told one by one: look at all.
        this.#wake((worker) => worker.isIncomplete);
      }
    }
  }
}

function isIn(worker: PodWorker, namespace: string): boolean {
  return (worker.pod.metadata.namespace ?? "default") === namespace;
}
