/** What of an object may not change once it is there. Pure. */
import { LaminaError } from "../../errors.ts";
import { parseQuantity } from "../../quantity.ts";
import { type JsonObject } from "./parse_object.ts";
import { PERSISTENT_SOURCES } from "./persistent_volume.ts";

type Same = (a: unknown, b: unknown) => boolean;

/** Of a pod's spec what Kubernetes lets change, too. */
const POD_CHANGEABLE = new Set(["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"]);

/**
 * Refuses a change that Kubernetes refuses, too.
 *
 * @param same Whether two JSON values say the same.
 * @throws `CONFLICT` naming the field.
 */
export function refuseImmutable(before: JsonObject, after: JsonObject, same: Same): void {
  const wrong = (rules[String(after.kind)] ?? (() => undefined))(before, after, same);
  if (wrong === undefined) return;
  const { name } = after.metadata as { name: string };
  throw new LaminaError("CONFLICT", `Cannot change ${after.kind} "${name}": ${wrong.field}: ${wrong.why}`, {
    details: { fields: [wrong.field] },
  });
}

interface Wrong {
  readonly field: string;
  readonly why: string;
}

type Rule = (before: JsonObject, after: JsonObject, same: Same) => Wrong | undefined;

const rules: Readonly<Record<string, Rule>> = {
  ConfigMap: (before, after, same) => changedData(before, after, same, ["data", "binaryData"]),
  Secret: (before, after, same) =>
    changedData(before, after, same, ["data"]) ?? first(before, after, same, ["type"], "a Secret keeps its type"),
  StorageClass: (before, after, same) =>
    first(
      before,
      after,
      same,
      ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
      "it cannot change. Delete the class and apply it again",
    ),
  PersistentVolume: (before, after, same) => {
    const why = "it cannot change once the PersistentVolume exists";
    const fields: string[] = [...PERSISTENT_SOURCES, "volumeMode"];
    const [old, next] = [specOf(before), specOf(after)];
    if (old.nodeAffinity !== undefined) fields.push("nodeAffinity");
    return below("spec", first(old, next, same, fields, why));
  },
  PersistentVolumeClaim: (before, after, same) => changedClaim(before, after, same),
  VolumeSnapshot: (before, after, same) =>
    below("spec", first(specOf(before), specOf(after), same, ["source"], "a snapshot keeps its source")),
  Pod: (before, after, same) => changedPod(specOf(before), specOf(after), same),
};

function changedData(before: JsonObject, after: JsonObject, same: Same, fields: string[]): Wrong | undefined {
  if (before.immutable !== true) return undefined;
  return first(before, after, same, [...fields, "immutable"], "the object is immutable. Delete it and apply it again");
}

function changedClaim(before: JsonObject, after: JsonObject, same: Same): Wrong | undefined {
  const [old, next] = [specOf(before), specOf(after)];
  const others = fieldsOf(old, next).filter((field) => field !== "resources");
  // The binder, and nobody else, names volume and class of a claim that named none.
  const why = "a claim keeps its spec, except for resources.requests.storage once it is bound";
  const wrong = first(old, next, same, others, why);
  if (wrong !== undefined) return below("spec", wrong);
  if (same(old.resources, next.resources)) return undefined;
  const field = "spec.resources.requests.storage";
  const status = (before.status ?? {}) as { phase?: string; capacity?: { storage?: string } };
  if (status.phase !== "Bound") return { field, why: "the claim is not bound yet. Delete it and apply it again" };
  const capacity = parseQuantity(status.capacity?.storage ?? "0") ?? 0;
  if (requested(next) < Math.min(capacity, requested(old))) {
    return { field, why: `a volume cannot shrink: it has ${status.capacity?.storage}` };
  }
  return undefined;
}

function requested(spec: JsonObject): number {
  const { requests } = (spec.resources ?? {}) as { requests?: { storage?: string } };
  return parseQuantity(requests?.storage ?? "0") ?? 0;
}

function changedPod(old: JsonObject, next: JsonObject, same: Same): Wrong | undefined {
  const why = "a pod keeps its spec, except for the images of its containers. Delete it and apply it again";
  for (const field of fieldsOf(old, next)) {
    if (POD_CHANGEABLE.has(field)) continue;
    const lists = [old[field], next[field]];
    const images = field === "containers" || field === "initContainers";
    if (!same(...(images ? lists.map(withoutImages) : lists) as [unknown, unknown])) {
      return { field: `spec.${field}`, why };
    }
  }
  return undefined;
}

function withoutImages(containers: unknown): unknown {
  return Array.isArray(containers)
    ? containers.map((container) => ({ ...container as JsonObject, image: "" }))
    : containers;
}

function first(
  before: JsonObject,
  after: JsonObject,
  same: Same,
  fields: readonly string[],
  why: string,
): Wrong | undefined {
  const field = fields.find((name) => !same(before[name], after[name]));
  return field === undefined ? undefined : { field, why };
}

function below(parent: string, wrong: Wrong | undefined): Wrong | undefined {
  return wrong === undefined ? undefined : { ...wrong, field: `${parent}.${wrong.field}` };
}

function fieldsOf(...specs: readonly JsonObject[]): string[] {
  return [...new Set(specs.flatMap(Object.keys))];
}

function specOf(object: JsonObject): JsonObject {
  return (object.spec ?? {}) as JsonObject;
}
