/** Fields of a pod as files (downwardAPI). Pure. */
import { type AtomicFile, cleanPath } from "../../../runtime/core/atomic_files.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { divideQuantities } from "../../../runtime/core/quantity.ts";
import type { DownwardApiFile } from "../../../runtime/core/specs/kube/config_sources.ts";
import { containersOfPod } from "../pod_resources.ts";

/** What the node gives to those containers that have no limits. */
export interface NodeResources {
  readonly cpus: number;
  readonly memory_bytes: number;
  /** Of the file system that pods' files are on. */
  readonly storage_bytes: number;
}

/** A pod as applied. */
export interface PodFields {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly pod: Readonly<Record<string, unknown>> | undefined;
}

const encoder = new TextEncoder();

/**
 * Files by path.
 *
 * @param what Which volume, for messages.
 * @throws `INVALID_ARGUMENT` for a field that a volume cannot have, or a container that the pod has not.
 */
export function downwardFiles(
  items: readonly DownwardApiFile[],
  options: {
    readonly fields: PodFields;
    readonly node: NodeResources;
    readonly defaultMode: number;
    readonly what: string;
  },
): Map<string, AtomicFile> {
  const files = new Map<string, AtomicFile>();
  for (const { path, fieldRef, resourceFieldRef, mode } of items) {
    const text = fieldRef !== undefined
      ? fieldText(fieldRef.fieldPath, options.fields, options.what)
      : resourceText(resourceFieldRef!, options);
    files.set(cleanPath(path), { content: encoder.encode(text), mode: mode ?? options.defaultMode });
  }
  return files;
}

function fieldText(path: string, { namespace, name, uid, pod }: PodFields, what: string): string {
  const metadata = pod?.metadata as Record<"labels" | "annotations", Record<string, string> | undefined> | undefined;
  switch (path) {
    case "metadata.name":
      return name;
    case "metadata.namespace":
      return namespace;
    case "metadata.uid":
      return uid;
    case "metadata.labels":
      return formatMap(metadata?.labels ?? {});
    case "metadata.annotations":
      return formatMap(metadata?.annotations ?? {});
  }
  const one = /^metadata\.(labels|annotations)\['([^'\]]+)'\]$/.exec(path);
  if (one !== null) {
    const values = metadata?.[one[1] as "labels" | "annotations"];
    return values !== undefined && Object.hasOwn(values, one[2]!) ? values[one[2]!]! : "";
  }
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot set up the ${what}: ${path} is no field for a volume. There are metadata.name, .namespace, .uid, .labels, ` +
      ".annotations, .labels['KEY'] and .annotations['KEY']",
  );
}

/** A line `key="value"` each, sorted by key, the last without a line break: as Kubernetes writes it. */
export function formatMap(values: Readonly<Record<string, string>>): string {
  return Object.keys(values).sort().map((key) => `${key}=${quote(values[key]!)}`).join("\n");
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** Go's `%q`, which programs that read these files undo. */
function quote(text: string): string {
  // deno-lint-ignore no-control-regex
  const escaped = text.replace(/["\\\x00-\x1f\x7f]|[\x80-\xa0\xad\u2028\u2029\ufeff]/g, (c) => {
    const code = c.charCodeAt(0);
    return ESCAPES[c] ??
      (code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  });
  return `"${escaped}"`;
}

function resourceText(
  { containerName, resource, divisor }: NonNullable<DownwardApiFile["resourceFieldRef"]>,
  { fields, node, what }: { readonly fields: PodFields; readonly node: NodeResources; readonly what: string },
): string {
  const container = containersOfPod(fields.pod).find(({ name }) => name === containerName);
  if (container === undefined) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot set up the ${what}: the pod has no container ${JSON.stringify(containerName)} (resourceFieldRef)`,
    );
  }
  const dot = resource.indexOf(".");
  const side = resource.slice(0, dot), name = resource.slice(dot + 1);
  const { limits = {}, requests = {} } = container.resources ?? {};
  // What has a limit and no request asks for its limit; what has no limit may have all that there is.
  const value = side === "limits" ? limits[name] ?? whole(name, node) : requests[name] ?? limits[name] ?? "0";
  // A divisor of zero stands for the default, as in Kubernetes.
  const by = divisor === undefined || /^[0.]*$/.test(divisor) ? "1" : divisor;
  const quotient = divideQuantities(String(value), by);
  if (quotient === undefined) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot set up the ${what}: ${resource} of the container ${JSON.stringify(containerName)} is no quantity`,
    );
  }
  return String(quotient);
}

function whole(resource: string, node: NodeResources): string {
  if (resource === "cpu") return String(node.cpus);
  if (resource === "memory") return String(node.memory_bytes);
  return resource === "ephemeral-storage" ? String(node.storage_bytes) : "0";
}
