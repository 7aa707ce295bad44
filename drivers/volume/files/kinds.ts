/** What is in configMap, secret, downwardAPI and projected volumes. */
import type { AtomicFile, AtomicFiles } from "../../../runtime/core/atomic_files.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  ConfigMapSource,
  DownwardApiSource,
  type KeyToPath,
  type ProjectedPart,
  ProjectedSource,
  SecretSource,
} from "../../../runtime/core/specs/kube/config_sources.ts";
import { parseSpec } from "../../../runtime/core/specs/parse_spec.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import type { PluginContext } from "../plugin_context.ts";
import type { ObjectKey, VolumeSpec, Workload } from "../port.ts";
import { downwardFiles } from "./downward_files.ts";
import type { FilesKind, FilesRequest } from "./files_plugin.ts";
import { filesOfKeys } from "./files_of_keys.ts";

/** A ConfigMap's keys as files. On disk: nothing in it is secret. */
export const configMapKind: FilesKind = {
  name: "kubernetes.io/configmap",
  source: "configMap",
  inMemory: false,
  files(request) {
    const { name, ...wanted } = parseSpec(ConfigMapSource, request.spec.source.configMap, request.what);
    return keyFiles({ kind: "ConfigMap", name, ...wanted }, request);
  },
  references: (spec, workload) => [keyOf("ConfigMap", parsed(ConfigMapSource, spec, "configMap").name, workload)],
};

/** A Secret's keys as files, in memory only. */
export const secretKind: FilesKind = {
  name: "kubernetes.io/secret",
  source: "secret",
  inMemory: true,
  files(request) {
    const { secretName, ...wanted } = parseSpec(SecretSource, request.spec.source.secret, request.what);
    return keyFiles({ kind: "Secret", name: secretName, ...wanted }, request);
  },
  references: (spec, workload) => [keyOf("Secret", parsed(SecretSource, spec, "secret").secretName, workload)],
};

/** Fields of the pod as files; labels and annotations follow their changes. */
export function downwardKind(context: PluginContext): FilesKind {
  return {
    name: "kubernetes.io/downward-api",
    source: "downwardAPI",
    inMemory: false,
    files(request) {
      const { items = [], defaultMode } = parsed(DownwardApiSource, request.spec, "downwardAPI");
      return podFiles(context, items, defaultMode, request);
    },
    references: (_spec, workload) => [podKey(workload)],
  };
}

/** Several of these in one directory. In memory, because a Secret may be among them. */
export function projectedKind(context: PluginContext): FilesKind {
  return {
    name: "kubernetes.io/projected",
    source: "projected",
    inMemory: true,
    files(request) {
      const { sources, defaultMode } = parsed(ProjectedSource, request.spec, "projected");
      return merge(
        sources.map((part, i) => [`sources[${i}]`, partFiles(context, part, defaultMode, request)]),
        request,
      );
    },
    references(spec, workload) {
      return parsed(ProjectedSource, spec, "projected").sources.flatMap(({ configMap, secret, downwardAPI }) => [
        ...(configMap === undefined ? [] : [keyOf("ConfigMap", configMap.name, workload)]),
        ...(secret === undefined ? [] : [keyOf("Secret", secret.name, workload)]),
        ...(downwardAPI === undefined ? [] : [podKey(workload)]),
      ]);
    },
  };
}

function partFiles(
  context: PluginContext,
  { configMap, secret, downwardAPI }: ProjectedPart,
  defaultMode: number,
  request: FilesRequest,
): AtomicFiles {
  if (configMap !== undefined) return keyFiles({ kind: "ConfigMap", defaultMode, ...configMap }, request);
  if (secret !== undefined) return keyFiles({ kind: "Secret", defaultMode, ...secret }, request);
  return podFiles(context, downwardAPI?.items ?? [], defaultMode, request);
}

/** @throws `INVALID_ARGUMENT` where two parts want one path: which of them wins would be chance. */
function merge(parts: ReadonlyArray<readonly [string, AtomicFiles]>, { what }: FilesRequest): AtomicFiles {
  const files = new Map<string, AtomicFile>();
  const owners = new Map<string, string>();
  for (const [part, partFiles] of parts) {
    for (const [path, file] of partFiles) {
      const owner = owners.get(path);
      if (owner !== undefined) {
        throw new LaminaError(
          "INVALID_ARGUMENT",
          `Cannot set up the ${what}: both ${owner} and ${part} make the file ${JSON.stringify(path)}. ` +
            "Give one of them another path with items",
        );
      }
      owners.set(path, part);
      files.set(path, file);
    }
  }
  return files;
}

function keyFiles(
  wanted: {
    readonly kind: "ConfigMap" | "Secret";
    readonly name: string;
    readonly items?: readonly KeyToPath[];
    readonly optional?: boolean;
    readonly defaultMode: number;
  },
  { workload, objects, what }: FilesRequest,
): AtomicFiles {
  const object = keyOf(wanted.kind, wanted.name, workload);
  const { items, optional = false, defaultMode } = wanted;
  const found = objects.get(object);
  // The store's objects name their kind; one that does not is what was asked for.
  const named = found === undefined ? undefined : { ...found, kind: wanted.kind };
  return filesOfKeys(named, { object, items, optional, defaultMode, what });
}

function podFiles(
  context: PluginContext,
  items: Parameters<typeof downwardFiles>[0],
  defaultMode: number,
  { workload, objects, what }: FilesRequest,
): AtomicFiles {
  const key = podKey(workload);
  const fields = {
    namespace: key.namespace,
    name: key.name,
    uid: workload.uid,
    pod: objects.get(key) ?? workload.pod,
  };
  const node = {
    cpus: navigator.hardwareConcurrency,
    memory_bytes: Deno.systemMemoryInfo().total,
    storage_bytes: fileSystemStatus(context.layout.root).total_bytes,
  };
  return downwardFiles(items, { fields, node, defaultMode, what });
}

function podKey({ namespace, name }: Workload): ObjectKey {
  return { kind: "Pod", namespace, name: name.slice(name.indexOf("/") + 1) };
}

function keyOf(kind: string, name: string, { namespace }: Workload): ObjectKey {
  return { kind, namespace, name };
}

function parsed<S extends Parameters<typeof parseSpec>[0]>(schema: S, spec: VolumeSpec, source: string) {
  return parseSpec(schema, spec.source[source], `volume "${spec.name}"`);
}
