/** The three-way merge of `apply`, as kubectl does it. Pure. */

type Json = Record<string, unknown>;

/** How elements of a list are told apart; lists that are not named here are replaced as a whole. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  "spec.volumes": "name",
  "spec.containers": "name",
  "spec.initContainers": "name",
  "spec.containers.volumeMounts": "mountPath",
  "spec.containers.volumeDevices": "devicePath",
  "spec.containers.env": "name",
  "spec.containers.ports": "containerPort",
  "spec.initContainers.volumeMounts": "mountPath",
  "spec.initContainers.volumeDevices": "devicePath",
  "spec.initContainers.env": "name",
  "spec.initContainers.ports": "containerPort",
  "spec.imagePullSecrets": "name",
  "metadata.ownerReferences": "uid",
};
/** Elements that keep only the fields which are applied: a volume that changes its source loses the old one. */
const RETAIN_KEYS: ReadonlySet<string> = new Set(["spec.volumes"]);
/** Values that must not be taken over in part: another source, other contents. */
const WHOLE: ReadonlySet<string> = new Set(["spec.selector", "spec.nodeAffinity"]);

/**
 * What the object becomes: fields that are applied are set; those that were applied before and are not any more go;
 * those that others have set stay.
 *
 * @param before What was applied the last time.
 * @param wanted What is applied now.
 * @param current The object as it is.
 */
export function mergeApplied(before: Json, wanted: Json, current: Json): Json {
  return mergeObject(before, wanted, current, "");
}

function mergeObject(before: Json, wanted: Json, current: Json, path: string): Json {
  const merged: Json = { ...current };
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(wanted, key)) delete merged[key];
  }
  for (const [key, value] of Object.entries(wanted)) {
    set(merged, key, mergeValue(before[key], value, own(current, key), path === "" ? key : `${path}.${key}`));
  }
  return merged;
}

function mergeValue(before: unknown, wanted: unknown, current: unknown, path: string): unknown {
  if (isObject(wanted) && isObject(current) && !WHOLE.has(path)) {
    return mergeObject(isObject(before) ? before : {}, wanted, current, path);
  }
  const key = MERGE_KEYS[path];
  if (Array.isArray(wanted) && Array.isArray(current) && key !== undefined) {
    return mergeList(Array.isArray(before) ? before : [], wanted, current, { path, key });
  }
  return wanted;
}

function mergeList(
  before: readonly unknown[],
  wanted: readonly unknown[],
  current: readonly unknown[],
  { path, key }: { path: string; key: string },
): unknown[] {
  const idOf = (element: unknown) => isObject(element) ? element[key] : undefined;
  const find = (list: readonly unknown[], id: unknown) => list.find((element) => idOf(element) === id);
  const merged = wanted.map((element) => {
    const now = find(current, idOf(element));
    if (!isObject(element) || !isObject(now)) return element;
    const then = find(before, idOf(element));
    const whole = mergeObject(isObject(then) ? then : {}, element, now, path);
    if (!RETAIN_KEYS.has(path)) return whole;
    return Object.fromEntries(Object.entries(whole).filter(([field]) => Object.hasOwn(element, field)));
  });
  const known = new Set([...wanted, ...before].map(idOf));
  return [...merged, ...current.filter((element) => !known.has(idOf(element)))];
}

/** Whether two JSON values say the same, whatever the order of their fields. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((element, i) => sameJson(element, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a).filter((key) => a[key] !== undefined);
  return keys.length === Object.keys(b).filter((key) => b[key] !== undefined).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}

/** `__proto__` may be a key of somebody's data; here it is one like others. */
function set(target: Json, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function own(object: Json, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
