/** Objects as lines of a table, in kubectl's columns. Pure. */
import type { KubeObject, ObjectEventRecord } from "../core/model/object.ts";
import type { Column } from "./table.ts";

type Fields = Readonly<Record<string, unknown>>;
type ObjectColumn = Column<KubeObject> & { readonly wide?: boolean };

/** `45s`, `12m`, `5h`, `3d`: how long ago an ISO time was. */
export function shortAge(time: string | undefined, now_ms: number): string {
  const age_s = Math.max(0, Math.floor((now_ms - Date.parse(time ?? "")) / 1000));
  if (Number.isNaN(age_s)) return "-";
  if (age_s < 120) return `${age_s}s`;
  if (age_s < 7200) return `${Math.floor(age_s / 60)}m`;
  if (age_s < 172_800) return `${Math.floor(age_s / 3600)}h`;
  return `${Math.floor(age_s / 86_400)}d`;
}

/** The columns of a kind. */
export function columnsOf(
  kind: string,
  options: { readonly wide: boolean; readonly namespaces: boolean; readonly now_ms: () => number },
): Column<KubeObject>[] {
  const columns: ObjectColumn[] = [
    ...(options.namespaces
      ? [{ title: "NAMESPACE", value: ({ metadata }: KubeObject) => metadata.namespace ?? "" }]
      : []),
    { title: "NAME", value: nameOf },
    ...(byKind[kind] ?? []),
    { title: "AGE", value: ({ metadata }) => shortAge(metadata.creationTimestamp, options.now_ms()) },
    ...(afterAge[kind] ?? []),
  ];
  return columns.filter(({ wide }) => options.wide || !wide);
}

/** The columns of events. */
export function eventColumns(now_ms: number, namespaces: boolean): Column<ObjectEventRecord>[] {
  return [
    ...(namespaces
      ? [{ title: "NAMESPACE", value: (event: ObjectEventRecord) => event.involvedObject.namespace ?? "" }]
      : []),
    { title: "LAST SEEN", value: (event) => lastSeen(event, now_ms) },
    { title: "TYPE", value: ({ type }) => type },
    { title: "REASON", value: ({ reason }) => reason },
    { title: "OBJECT", value: ({ involvedObject: { kind, name } }) => `${kind.toLowerCase()}/${name}` },
    { title: "MESSAGE", value: ({ message }) => message.replaceAll("\n", " ") },
  ];
}

/** `5s`, or `5s (x3 over 2m)`. */
export function lastSeen({ count, firstTimestamp, lastTimestamp }: ObjectEventRecord, now_ms: number): string {
  const last = shortAge(lastTimestamp, now_ms);
  return count === 1 ? last : `${last} (x${count} over ${shortAge(firstTimestamp, now_ms)})`;
}

const MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

const byKind: Readonly<Record<string, readonly ObjectColumn[]>> = {
  Pod: [
    { title: "READY", value: podReady },
    { title: "STATUS", value: podPhase },
  ],
  ConfigMap: [{ title: "DATA", value: ({ data, binaryData }) => countOf(data) + countOf(binaryData) }],
  Secret: [
    { title: "TYPE", value: ({ type }) => text(type) },
    { title: "DATA", value: ({ data }) => countOf(data) },
  ],
  PersistentVolume: [
    { title: "CAPACITY", value: ({ spec }) => text(at(spec, "capacity", "storage")) },
    { title: "ACCESS MODES", value: ({ spec }) => modes(spec?.accessModes) },
    { title: "RECLAIM POLICY", value: ({ spec }) => text(spec?.persistentVolumeReclaimPolicy) },
    { title: "STATUS", value: (object) => phaseOf(object, "Pending") },
    { title: "CLAIM", value: claimOf },
    { title: "STORAGECLASS", value: ({ spec }) => text(spec?.storageClassName) },
    { title: "REASON", value: ({ status }) => text(status?.reason) },
  ],
  PersistentVolumeClaim: [
    { title: "STATUS", value: (object) => phaseOf(object, "Pending") },
    { title: "VOLUME", value: ({ spec }) => text(spec?.volumeName) },
    { title: "CAPACITY", value: ({ status }) => text(at(status, "capacity", "storage")) },
    { title: "ACCESS MODES", value: ({ status }) => modes(status?.accessModes) },
    { title: "STORAGECLASS", value: ({ spec }) => text(spec?.storageClassName) },
  ],
  StorageClass: [
    { title: "PROVISIONER", value: ({ provisioner }) => text(provisioner) },
    { title: "RECLAIMPOLICY", value: ({ reclaimPolicy }) => text(reclaimPolicy) },
    { title: "VOLUMEBINDINGMODE", value: ({ volumeBindingMode }) => text(volumeBindingMode) },
    { title: "ALLOWVOLUMEEXPANSION", value: ({ allowVolumeExpansion }) => String(allowVolumeExpansion ?? false) },
  ],
  VolumeSnapshot: [
    { title: "READYTOUSE", value: ({ status }) => String(status?.readyToUse ?? false) },
    { title: "SOURCEPVC", value: ({ spec }) => text(at(spec, "source", "persistentVolumeClaimName")) },
    { title: "RESTORESIZE", value: ({ status }) => text(status?.restoreSize) },
  ],
};

const afterAge: Readonly<Record<string, readonly ObjectColumn[]>> = {
  Pod: [
    { title: "VOLUMES", wide: true, value: ({ spec }) => countOf(spec?.volumes) },
    { title: "MESSAGE", wide: true, value: podMessage },
  ],
  PersistentVolume: [{ title: "VOLUMEMODE", wide: true, value: ({ spec }) => text(spec?.volumeMode) }],
  PersistentVolumeClaim: [{ title: "VOLUMEMODE", wide: true, value: ({ spec }) => text(spec?.volumeMode) }],
};

function nameOf({ kind, metadata }: KubeObject): string {
  const isDefault = kind === "StorageClass" && metadata.annotations?.[DEFAULT_CLASS] === "true";
  return isDefault ? `${metadata.name} (default)` : metadata.name;
}

interface ContainerStatus {
  readonly ready?: boolean;
  readonly state?: { readonly waiting?: { readonly reason?: string } };
}

function podReady({ spec, status }: KubeObject): string {
  const statuses = (status?.containerStatuses ?? []) as ContainerStatus[];
  return `${statuses.filter(({ ready }) => ready).length}/${countOf(spec?.containers)}`;
}

function podPhase(object: KubeObject): string {
  if (object.metadata.deletionTimestamp !== undefined) return "Terminating";
  const statuses = [
    ...(object.status?.initContainerStatuses ?? []) as ContainerStatus[],
    ...(object.status?.containerStatuses ?? []) as ContainerStatus[],
  ];
  const waiting = statuses.find(({ state }) => state?.waiting?.reason !== undefined)?.state?.waiting?.reason;
  return waiting ?? phaseOf(object, "Pending");
}

function podMessage({ status }: KubeObject): string {
  const conditions = (status?.conditions ?? []) as { type: string; message?: string }[];
  return conditions.find(({ type }) => type === "Ready")?.message ?? "";
}

function phaseOf({ metadata, status }: KubeObject, absent: string): string {
  return metadata.deletionTimestamp === undefined ? text(status?.phase) || absent : "Terminating";
}

function claimOf({ spec }: KubeObject): string {
  const claim = spec?.claimRef as { namespace?: string; name?: string } | undefined;
  return claim === undefined ? "" : `${claim.namespace ?? "default"}/${claim.name}`;
}

function modes(list: unknown): string {
  return Array.isArray(list) ? list.map((mode) => MODES[String(mode)] ?? mode).join(",") : "";
}

function countOf(value: unknown): number {
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}

function at(object: Fields | undefined, field: string, inner: string): unknown {
  return (object?.[field] as Fields | undefined)?.[inner];
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}
