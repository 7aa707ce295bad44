/** An object told to people, in YAML, with its events. Pure but for the clock. */
import type { KubeObject, ObjectEventRecord } from "../core/model/object.ts";
import { printable } from "./human.ts";
import { lastSeen } from "./kube_columns.ts";
import { tableLines } from "./table.ts";
import { yamlText } from "./yaml_text.ts";

/** The object in YAML without what repeats itself, values of Secrets as their sizes; then its events. */
export async function describeLines(
  object: KubeObject,
  events: readonly ObjectEventRecord[],
): Promise<string[]> {
  const { apiVersion: _, kind, metadata, status, ...rest } = object;
  const { name, namespace, labels, annotations, uid, creationTimestamp, deletionTimestamp, finalizers } = metadata;
  const shown: Record<string, unknown> = kind === "Secret" ? { ...rest, data: sizesOf(rest.data) } : rest;
  const head = {
    Name: name,
    ...(namespace === undefined ? {} : { Namespace: namespace }),
    Kind: kind,
    ...(labels === undefined ? {} : { Labels: labels }),
    ...(annotations === undefined ? {} : { Annotations: annotations }),
    Created: creationTimestamp,
    ...(deletionTimestamp === undefined ? {} : { "Being deleted since": deletionTimestamp }),
    ...(finalizers === undefined || finalizers.length === 0 ? {} : { Finalizers: finalizers }),
    Uid: uid,
    ...Object.fromEntries(
      Object.entries({ ...shown, status: withoutMounts(status) }).filter(([, value]) => value !== undefined).map((
        [field, value],
      ) => [
        field[0]!.toUpperCase() + field.slice(1),
        value,
      ]),
    ),
  };
  const lines = (await yamlText(head, { lineWidth: 0 })).split("\n").map(printable);
  if (events.length === 0) return [...lines, "Events: none"];
  const now_ms = Date.now();
  const table = tableLines<ObjectEventRecord>([
    { title: "TYPE", value: ({ type }) => type },
    { title: "REASON", value: ({ reason }) => reason },
    { title: "AGE", value: (event) => lastSeen(event, now_ms) },
    { title: "MESSAGE", value: ({ message }) => printable(message.replaceAll("\n", " ")) },
  ], events);
  return [...lines, "Events:", ...table.map((line) => `  ${line}`)];
}

/** A pod's status without what is the same in every container, or is for a runtime; `get -o yaml` has it. */
function withoutMounts(status: KubeObject["status"]): unknown {
  if (status === undefined) return undefined;
  const shorter = Object.entries(status).map(([field, value]) => {
    if (!/^(initC|c)ontainerStatuses$/.test(field) || !Array.isArray(value)) return [field, value];
    return [field, value.map(({ mounts: _, linux: __, ...rest }) => rest)];
  });
  return { ...Object.fromEntries(shorter), ...shortConditions(status.conditions) };
}

/** `Ready: False (VolumesNotReady)`, and each message once: several conditions mostly have the same. */
function shortConditions(conditions: unknown): Record<string, unknown> {
  if (!Array.isArray(conditions)) return {};
  const lines = (conditions as Condition[]).map(({ type, status, reason }) =>
    [type, status === "True" ? true : `${status} (${reason ?? "no reason"})`] as const
  );
  const messages = new Set((conditions as Condition[]).flatMap(({ message }) => message ? [message] : []));
  return {
    conditions: Object.fromEntries(lines),
    ...(messages.size === 0 ? {} : { why: messages.size === 1 ? [...messages][0] : [...messages] }),
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

function sizesOf(data: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries((data ?? {}) as Record<string, string>).map(([key, value]) => {
      const padding = /=*$/.exec(value)![0].length;
      return [key, `${value.length / 4 * 3 - padding} bytes`];
    }),
  );
}
