/** One pod: brought up, kept, taken down. One step at a time; whatever happens wakes it. */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import type { KubeObject } from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";
import { containersOf, type Pod, type PodContainer } from "../core/specs/kube/pod.ts";
import { faultPoint } from "../host/faults.ts";
import { sameJson } from "../objects/merge.ts";
import { planBinds } from "./container_mounts.ts";
import { deleteEphemeralClaims, makeEphemeralClaims } from "./ephemeral_claims.ts";
import { ensureContainer, isStillUp, removeContainers } from "./pod_containers.ts";
import { environmentOf, MissingReference } from "./pod_env.ts";
import { POD_FINALIZER, type PodRoom } from "./pod_room.ts";
import { type ContainerProgress, podStatus } from "./pod_status.ts";
import { podOf, type ResolvedVolumes, resolveVolumes } from "./resolve_volumes.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;
const DEFAULT_GRACE_S = 30;
const TELL_AFTER_MS = 2000;

/** See the head of the file. */
export class PodWorker {
  readonly #room: PodRoom;
  readonly #onGone: () => void;
  /** As it was last seen; once it is gone, as it was. */
  #pod: Pod & KubeObject;
  #run: Promise<void> | undefined;
  #dirty = false;
  #closed = false;
  /** Of what runs now. */
  #step = new AbortController();
  /** Of the wait for the volumes. */
  readonly #wait = new AbortController();
  #resolved: ResolvedVolumes | undefined;
  #isWaiting = false;
  #unresolvedSince_ms: number | undefined;
  #paths: ReadonlyMap<string, string> | undefined;
  /** What the volume manager last reported. */
  #trouble: string | undefined;
  readonly #containers = new Map<string, ContainerProgress>();
  /** Events that were told and need no repetition while nothing changes. */
  readonly #told = new Map<string, string>();
  #retry_ms = FIRST_RETRY_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: PodRoom, pod: KubeObject, onGone: () => void) {
    this.#room = room;
    this.#pod = podOf(pod);
    this.#onGone = onGone;
  }

  /** The pod as it was last seen. */
  get pod(): Pod & KubeObject {
    return this.#pod;
  }

  /** Whether something that it needs is not there. */
  get isIncomplete(): boolean {
    return this.#resolved === undefined || this.#resolved.unresolved.size > 0 ||
      [...this.#containers.values()].some(({ waiting }) => waiting !== undefined);
  }

  /** Whether its volumes come from that claim of its namespace. */
  usesClaim(name: string): boolean {
    return this.#resolved?.claims.includes(name) ?? true;
  }

  /** Puts the pod's volumes in the desired world, as far as they are known. Never waits. */
  desire(): void {
    const { objects, node } = this.#room;
    const pod = this.#pod;
    const lookup = { node, get: (key: ObjectKey) => objects.get(key), list: (kind: string) => objects.list(kind) };
    const resolved = resolveVolumes(pod, lookup);
    const before = this.#resolved;
    this.#resolved = resolved;
    const same = before !== undefined && sameJson(before.volumes, resolved.volumes) &&
      sameJson([...before.unresolved], [...resolved.unresolved]);
    if (same) return;
    const { uid, name, namespace = "default" } = pod.metadata;
    const workload = { kind: "pod", uid, name: `${namespace}/${name}`, namespace, pod } as const;
    this.#room.manager.desire({ workload, volumes: resolved.volumes, unresolved: resolved.unresolved });
  }

  /** The pod has changed, or is gone: what runs is cancelled where it is not wanted any more. */
  changed(pod: KubeObject | undefined): void {
    const before = this.#pod;
    const wasGoing = this.#isGoing;
    if (pod !== undefined) this.#pod = podOf(pod);
    if (pod === undefined) this.#pod = podOf({ ...before, metadata: { ...before.metadata, finalizers: [] } });
    this.#isGone = pod === undefined;
    const { deletionGracePeriodSeconds: grace_s } = this.#pod.metadata;
    const isHurried = grace_s !== before.metadata.deletionGracePeriodSeconds;
    if ((!wasGoing && this.#isGoing) || isHurried) {
      const why = new LaminaError("CANCELLED", `Pod ${before.metadata.name} is being deleted`);
      this.#step.abort(why);
      this.#wait.abort(why);
    }
    const { labels, annotations, name, namespace = "default" } = this.#pod.metadata;
    if (!sameJson([labels, annotations], [before.metadata.labels, before.metadata.annotations])) {
      // The volume manager is given the new pod with the next wish; this makes downwardAPI files follow.
      this.#resolved = undefined;
      if (!this.#isGoing) this.desire();
      this.#room.manager.objectChanged({ kind: "Pod", namespace, name });
    } else if (this.#isGoing === wasGoing && !isHurried && before.spec === this.#pod.spec && pod !== undefined) {
      return;
    }
    this.wake();
  }

  /** Something that the volume manager reports of the pod's volumes. */
  troubled(message: string | undefined): void {
    if (this.#trouble === message || this.#paths !== undefined) return;
    this.#trouble = message;
    this.wake();
  }

  /** Looks at the pod, now or when what runs has ended. */
  wake(): void {
    if (this.#closed) return;
    this.#dirty = true;
    this.#run ??= this.#loop();
  }

  /** Stops what runs; nothing is taken down. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const why = new LaminaError("UNAVAILABLE", "The runtime is shutting down");
    this.#step.abort(why);
    this.#wait.abort(why);
    await this.#run;
  }

  #isGone = false;

  get #isGoing(): boolean {
    return this.#isGone || this.#pod.metadata.deletionTimestamp !== undefined;
  }

  async #loop(): Promise<void> {
    // What wakes it in the same turn belongs together.
    await Promise.resolve();
    while (this.#dirty && !this.#closed) {
      this.#dirty = false;
      this.#step = new AbortController();
      const operation = { signal: this.#step.signal, progress: () => {} };
      try {
        if (this.#isGoing) {
          if (await this.#takeDown(operation)) {
            this.#closed = true;
            this.#onGone();
            return;
          }
        } else await this.#bringUp(operation);
      } catch (error) {
        if (this.#step.signal.aborted) continue;
        this.#tell("Warning", this.#isGoing ? "FailedKillPod" : "FailedSync", messageOf(error));
        this.#again();
      }
    }
    this.#run = undefined;
  }

  async #bringUp(operation: Operation): Promise<void> {
    const { objects } = this.#room;
    await makeEphemeralClaims(objects, this.#pod);
    this.desire();
    this.#awaitVolumes();
    const unresolved = [...this.#resolved!.unresolved.values()];
    this.#tellUnresolved(unresolved);
    if (this.#paths !== undefined) {
      const all = containersOf(this.#pod.spec);
      await Promise.all(all.map((container) => this.#bringUpContainer(container, operation)));
    }
    operation.signal.throwIfAborted();
    const missing = unresolved[0] ?? this.#trouble;
    // After a start, what a pod had is there until the opposite is known: nobody shall see it as one that is being made.
    if (this.#paths !== undefined || missing !== undefined || !await isStillUp(this.#room, this.#pod, operation)) {
      await this.#writeStatus(missing);
    }
    if (!this.isIncomplete) this.#retry_ms = FIRST_RETRY_MS;
  }

  /** That a claim is being bound is nothing to tell; that it stays unbound is. */
  #tellUnresolved(reasons: readonly string[]): void {
    if (reasons.length === 0) this.#unresolvedSince_ms = undefined;
    else if (this.#unresolvedSince_ms === undefined) {
      this.#unresolvedSince_ms = Date.now();
      this.#wakeIn(TELL_AFTER_MS);
    } else if (Date.now() - this.#unresolvedSince_ms >= TELL_AFTER_MS) {
      this.#tell("Warning", "FailedMount", reasons.join("; "));
    }
  }

  /** Once; when the volumes are there, the pod goes on. */
  #awaitVolumes(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const { uid } = this.#pod.metadata;
    this.#room.manager.ready(uid, { signal: this.#wait.signal, progress: () => {} }, { failFast: false }).then(
      (paths) => {
        this.#paths = paths;
        this.#trouble = undefined;
        this.wake();
      },
      (error) => {
        this.#isWaiting = false;
        if (this.#wait.signal.aborted) return;
        this.#trouble = messageOf(error);
        this.#dirty = true;
        this.#again();
      },
    );
  }

  async #bringUpContainer(container: PodContainer, operation: Operation): Promise<void> {
    const { objects, node, slots } = this.#room;
    const pod = this.#pod;
    const wait = (reason: string, message: string) => {
      this.#containers.set(container.name, { waiting: { reason, message } });
      this.#tell("Warning", reason === "ErrImageNeverPull" ? reason : "Failed", message, container.name);
    };
    if (!container.image) return wait("InvalidImageName", `container "${container.name}" names no image`);
    if (!this.#isImported(container.image)) {
      return wait(
        "ErrImageNeverPull",
        `image "${container.image}" is not imported; the container's root follows when it is (lamina image import)`,
      );
    }
    try {
      const env = () => environmentOf(pod, container, { objects, nodeName: node.name });
      const readOnly = this.#resolved!.volumes.filter(({ spec }) => spec.read_only).map(({ spec }) => spec.name);
      const binds = planBinds(pod, container, { paths: this.#paths!, read_only: new Set(readOnly) }, env);
      const work = { binds, isKnown: this.#containers.get(container.name)?.container !== undefined };
      const root = await slots.run(() => ensureContainer(this.#room, pod, container, work, operation));
      this.#containers.set(container.name, { container: root.container });
      const { id, rootfs } = root.container;
      const message = `The root of container "${container.name}" is mounted at ${rootfs}`;
      if (root.made) this.#tell("Normal", "Created", message, id);
    } catch (error) {
      if (operation.signal.aborted) throw error;
      const missing = error instanceof MissingReference;
      wait(missing ? "CreateContainerConfigError" : "CreateContainerError", messageOf(error));
      if (!missing) this.#again();
    }
  }

  #isImported(image: string): boolean {
    try {
      this.#room.images.inspect(image);
      return true;
    } catch (error) {
      if (isLaminaError(error, "NOT_FOUND", "INVALID_ARGUMENT")) return false;
      throw error;
    }
  }

  /** Containers first, then their volumes, then the claims that were made for it, then the pod. True: all is gone. */
  async #takeDown(operation: Operation): Promise<boolean> {
    const { objects, manager } = this.#room;
    const { uid, name, namespace = "default", deletionTimestamp, deletionGracePeriodSeconds } = this.#pod.metadata;
    const grace_s = deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S;
    const over_ms = Date.parse(deletionTimestamp ?? new Date().toISOString()) + grace_s * 1000;
    try {
      await removeContainers(this.#room, this.#pod, this.#isGone || Date.now() >= over_ms, operation);
    } catch (error) {
      // Whoever still works in there has the pod's grace period to end.
      if (isLaminaError(error, "CONFLICT")) {
        this.#retry_ms = Math.max(1, Math.min(this.#retry_ms, over_ms - Date.now()));
      }
      throw error;
    }
    manager.release(uid, { force: this.#isGone || grace_s === 0 });
    await manager.gone(uid, operation);
    faultPoint("pod.volumes_gone");
    await deleteEphemeralClaims(objects, this.#pod, operation);
    faultPoint("pod.claims_deleted");
    if (this.#isGone) return true;
    await objects.update({ kind: "Pod", namespace, name }, (object) => {
      if (object.metadata.uid !== uid) return object;
      const finalizers = (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== POD_FINALIZER);
      return { ...object, metadata: { ...object.metadata, finalizers } };
    });
    faultPoint("pod.finalized");
    return true;
  }

  async #writeStatus(missing: string | undefined): Promise<void> {
    const { uid, name, namespace = "default" } = this.#pod.metadata;
    const progress = { paths: this.#paths, missing, containers: this.#containers };
    const now = new Date().toISOString();
    await this.#room.objects.update({ kind: "Pod", namespace, name }, (object) => {
      if (object.metadata.uid !== uid) return object;
      return { ...object, status: podStatus(podOf(object), progress, now) };
    });
    faultPoint("pod.status_written");
  }

  #again(): void {
    this.#wakeIn(this.#retry_ms);
    this.#retry_ms = Math.min(this.#retry_ms * 2, LAST_RETRY_MS);
  }

  #wakeIn(delay_ms: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), delay_ms);
  }

  /** @param once What it is about; the same about it is told once. */
  #tell(type: "Normal" | "Warning", reason: string, message: string, once = reason): void {
    if (this.#told.get(once) === message) return;
    this.#told.set(once, message);
    const { uid, name, namespace = "default" } = this.#pod.metadata;
    this.#room.objects.event({ about: { kind: "Pod", namespace, name, uid }, type, reason, message });
  }
}
