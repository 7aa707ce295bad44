/** Objects as their authors use them: apply, read, delete, watch. */
import type { ObjectKey } from "../../drivers/volume/port.ts";
import { LaminaError } from "../core/errors.ts";
import type {
  ApplyOptions,
  ApplyResult,
  KubeObject,
  ObjectEventRecord,
  ObjectFilter,
  ObjectService,
  WatchLine,
} from "../core/model/object.ts";
import type { Operation } from "../core/operation.ts";
import { refuseImmutable } from "../core/specs/kube/immutable.ts";
import { kubeKind } from "../core/specs/kube/kinds.ts";
import { type JsonObject, parseKubeObject } from "../core/specs/kube/parse_object.ts";
import { ChangeQueue } from "./change_queue.ts";
import { refuseExpansion } from "./expansion.ts";
import { mergeApplied, sameJson } from "./merge.ts";
import { keyOf, newObject, type Objects } from "./object_store.ts";
import { wantedOf } from "./wanted.ts";

/** See the head of the file. */
export class ObjectVerbs implements ObjectService {
  constructor(private readonly objects: Objects) {}

  /** See {@linkcode ObjectService}. */
  async apply(object: unknown, options: ApplyOptions, operation: Operation): Promise<ApplyResult> {
    const { object: first } = parseKubeObject(object);
    const key = keyOf(first as unknown as KubeObject);
    const wanted = wantedOf(object as JsonObject, key);
    const applied = JSON.stringify(wanted);
    operation.signal.throwIfAborted();
    let result: ApplyResult["result"] = "unchanged";
    const decide = (current: KubeObject | undefined, before: string | null) => {
      const next = current === undefined ? this.#created(wanted) : this.#configured(current, wanted, first, before);
      result = current === undefined ? "created" : sameJson(current, next) ? "unchanged" : "configured";
      return { object: next, applied };
    };
    if (options.dryRun) {
      const { object } = decide(this.objects.get(key), this.objects.appliedOf(key));
      return { result, object };
    }
    const stored = await this.objects.decide(key, decide);
    return { result, object: stored! };
  }

  /** See {@linkcode ObjectService}. */
  get(kind: string, namespace: string, name: string): KubeObject {
    const key = checkedKey(kind, namespace, name);
    const object = this.objects.get(key);
    if (object === undefined) throw notFound(key);
    return object;
  }

  /** See {@linkcode ObjectService}. */
  list(kind: string, namespace?: string): KubeObject[] {
    checkedKey(kind, namespace ?? "", "");
    return this.objects.list(kind, namespace);
  }

  /** See {@linkcode ObjectService}. */
  async delete(
    kind: string,
    namespace: string,
    name: string,
    operation: Operation,
    options: { readonly grace_s?: number } = {},
  ): Promise<{ readonly object: KubeObject; readonly gone: boolean }> {
    const object = this.get(kind, namespace, name);
    const key = keyOf(object);
    await this.objects.delete(key, operation, options);
    const left = this.objects.get(key);
    return left?.metadata.uid === object.metadata.uid ? { object: left, gone: false } : { object, gone: true };
  }

  /** See {@linkcode ObjectService}. */
  watch(filter: ObjectFilter & { readonly kind: string }, signal: AbortSignal): AsyncIterable<WatchLine> {
    checkedKey(filter.kind, filter.namespace ?? "", "");
    const fits = ({ kind, metadata }: KubeObject) =>
      kind === filter.kind && (filter.name ?? metadata.name) === metadata.name &&
      (filter.namespace ?? metadata.namespace) === metadata.namespace;
    const queue = new ChangeQueue(signal);
    const stop = this.objects.watch((change) => {
      if (fits(change.object)) queue.push(change);
    });
    for (const object of this.objects.list(filter.kind)) {
      if (fits(object)) queue.push({ type: "added", object });
    }
    queue.push({ type: "bookmark" });
    return queue.until(stop);
  }

  /** See {@linkcode ObjectService}. */
  events(filter: ObjectFilter): ObjectEventRecord[] {
    return this.objects.events.list(filter);
  }

  #created(wanted: JsonObject): KubeObject {
    refuseOther(wanted, undefined);
    return newObject(parseKubeObject(wanted).object as unknown as KubeObject);
  }

  #configured(current: KubeObject, wanted: JsonObject, given: JsonObject, before: string | null): KubeObject {
    refuseOther(given, current);
    if (current.metadata.deletionTimestamp !== undefined) {
      const { kind, metadata } = current;
      throw new LaminaError(
        "CONFLICT",
        `Cannot apply ${kind} "${metadata.name}": it is being deleted. Apply it again when it is gone`,
        { details: { finalizers: [...metadata.finalizers ?? []] } },
      );
    }
    const merged = mergeApplied(before === null ? {} : JSON.parse(before), wanted, current as unknown as JsonObject);
    const { object } = parseKubeObject(merged);
    refuseImmutable(current as unknown as JsonObject, object, sameJson);
    refuseExpansion(current, object as unknown as KubeObject, this.objects);
    return object as unknown as KubeObject;
  }
}

/** Who gives a uid or a version means that very object, in that very state. */
function refuseOther(given: JsonObject, current: KubeObject | undefined): void {
  const { name, uid, resourceVersion } = given.metadata as Partial<KubeObject["metadata"]>;
  const attempted = `Cannot apply ${String(given.kind)} "${name}"`;
  if (current === undefined) return;
  if (uid !== undefined && uid !== current.metadata.uid) {
    throw new LaminaError("CONFLICT", `${attempted}: its uid is ${current.metadata.uid}: it is another object by now`);
  }
  if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion) {
    throw new LaminaError(
      "CONFLICT",
      `${attempted}: it has changed since version ${resourceVersion}. Leave metadata.resourceVersion out, or get it again`,
    );
  }
}

function checkedKey(kind: string, namespace: string, name: string): ObjectKey {
  const row = kubeKind(kind);
  if (row === undefined) throw new LaminaError("INVALID_ARGUMENT", `There is no kind ${JSON.stringify(kind)}`);
  return { kind, namespace: row.namespaced ? namespace : "", name };
}

function notFound({ kind, namespace, name }: ObjectKey): LaminaError {
  const where = namespace === "" ? "" : ` in namespace "${namespace}"`;
  return new LaminaError("NOT_FOUND", `There is no ${kind} "${name}"${where}`, { details: { kind, namespace, name } });
}
