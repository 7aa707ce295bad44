/** The environment of a pod's container, as far as `subPathExpr` needs it. Pure. */
import type { ObjectLookup } from "../../drivers/volume/port.ts";
import type { KubeObject } from "../core/model/object.ts";
import { divideQuantities } from "../core/quantity.ts";
import type { EnvVar, Pod, PodContainer } from "../core/specs/kube/pod.ts";

/** Something that the pod refers to is not there; it may come. */
export class MissingReference extends Error {}

/** Where values come from. */
export interface EnvRoom {
  readonly objects: ObjectLookup;
  readonly nodeName: string;
}

/**
 * Variables by name; later ones win, and may refer to earlier ones by `$(NAME)`.
 *
 * @throws {MissingReference} a ConfigMap, Secret or key that is not optional does not exist.
 */
export function environmentOf(pod: Pod & KubeObject, container: PodContainer, room: EnvRoom): Map<string, string> {
  const env = new Map<string, string>();
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const all = configMapRef === undefined
      ? secretRef && dataOf(pod, "Secret", secretRef, room)
      : dataOf(pod, "ConfigMap", configMapRef, room);
    for (const [key, value] of Object.entries(all ?? {})) env.set(`${prefix}${key}`, value);
  }
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom === undefined
      ? expandLoosely(variable.value ?? "", env)
      : valueFrom(pod, container, variable, room);
    if (value !== undefined) env.set(variable.name, value);
  }
  return env;
}

/**
 * `$(NAME)` replaced; `$$(NAME)` stands for itself.
 *
 * @throws {MissingReference} for a name that has no value.
 */
export function expandStrictly(text: string, env: ReadonlyMap<string, string>): string {
  return expand(text, (name) => {
    const value = env.get(name);
    if (value === undefined) throw new MissingReference(`there is no variable "${name}" for $(${name})`);
    return value;
  });
}

function expandLoosely(text: string, env: ReadonlyMap<string, string>): string {
  return expand(text, (name) => env.get(name) ?? `$(${name})`);
}

function expand(text: string, valueOf: (name: string) => string): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (found, name?: string) => found === "$$" ? "$" : valueOf(name!));
}

function valueFrom(
  pod: Pod & KubeObject,
  container: PodContainer,
  { name, valueFrom }: EnvVar,
  room: EnvRoom,
): string | undefined {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom!;
  if (fieldRef !== undefined) return field(pod, fieldRef.fieldPath, room);
  if (resourceFieldRef !== undefined) {
    const from = typeof resourceFieldRef.containerName === "string"
      ? [...pod.spec.initContainers ?? [], ...pod.spec.containers].find((one) =>
        one.name === resourceFieldRef.containerName
      )
      : container;
    const [list, ...resource] = resourceFieldRef.resource.split(".") as ["limits" | "requests", ...string[]];
    const value = from?.resources?.[list]?.[resource.join(".")] ?? "0";
    const divisor = typeof resourceFieldRef.divisor === "string" ? resourceFieldRef.divisor : "1";
    return String(divideQuantities(value, divisor === "0" ? "1" : divisor) ?? "0");
  }
  const reference = configMapKeyRef ?? secretKeyRef;
  if (reference === undefined) return undefined;
  const kind = configMapKeyRef === undefined ? "Secret" : "ConfigMap";
  const value = dataOf(pod, kind, reference, room)?.[reference.key];
  if (value === undefined && reference.optional !== true) {
    throw new MissingReference(`${kind} "${reference.name}" has no key "${reference.key}" for variable ${name}`);
  }
  return value;
}

function field(pod: Pod & KubeObject, path: string, room: EnvRoom): string {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) return metadata[keyed[1] as "labels" | "annotations"]?.[keyed[2]!] ?? "";
  switch (path) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "default";
    case "metadata.uid":
      return metadata.uid;
    case "spec.nodeName":
      return spec.nodeName ?? room.nodeName;
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "default";
    default:
      throw new MissingReference(`${path} is not known here`);
  }
}

/** All of an object's texts; `undefined`: it is not there, and optional. */
function dataOf(
  pod: KubeObject,
  kind: "ConfigMap" | "Secret",
  { name, optional }: { readonly name: string; readonly optional?: boolean },
  { objects }: EnvRoom,
): Record<string, string> | undefined {
  const object = objects.get({ kind, namespace: pod.metadata.namespace ?? "default", name });
  if (object === undefined) {
    if (optional === true) return undefined;
    throw new MissingReference(`${kind} "${name}" does not exist`);
  }
  const data = (object.data ?? {}) as Record<string, string>;
  if (kind === "ConfigMap") return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, fromBase64(value)]));
}

function fromBase64(value: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(value), (character) => character.charCodeAt(0)));
}
