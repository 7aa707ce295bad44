/** `lamina get` and `lamina describe`. */
import { stringify } from "yaml";
import { isLaminaError } from "../../core/errors.ts";
import type { KubeObject, ObjectEventRecord } from "../../core/model/object.ts";
import { KUBE_KINDS, type KubeKind } from "../../core/specs/kube/kinds.ts";
import type { OperationStatus } from "../../volume/manager/port.ts";
import type { Client } from "../client.ts";
import { type Command, command } from "../command.ts";
import { printable } from "../human.ts";
import { columnsOf, eventColumns, lastSeen, shortAge } from "../kube_columns.ts";
import {
  DEFAULT_NAMESPACE,
  KIND_WORDS,
  kindOf,
  namespaceFlag,
  objectPath,
  type ObjectPlace,
  placesOf,
  titleOf,
} from "../kube_objects.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../parse.ts";
import { printCapacity } from "./capacity.ts";
import { tableLines } from "../table.ts";

const GET_WORDS = [...KIND_WORDS, "all", "events", "operations", "capacity"];

interface Asked {
  readonly namespace: string;
  readonly everywhere: boolean;
  readonly form: string | undefined;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly api: Client;
}

const get = command({
  words: ["get"],
  summary: "List objects, events or the volume manager's operations",
  arguments: [
    {
      name: "KIND",
      help: "pods, pvc, pv, sc, cm, secrets, …, with , between; all, events, operations, capacity",
      complete: GET_WORDS,
    },
    { name: "NAME", help: "names; absent: all", optional: true, repeated: true },
  ],
  flags: {
    namespace: namespaceFlag,
    "all-namespaces": { kind: "switch", short: "A", help: "Objects of all namespaces" },
    output: {
      kind: "text",
      short: "o",
      value: "FORM",
      help: "wide, json, yaml or name",
      choices: ["wide", "json", "yaml", "name"],
    },
  },
  examples: [
    ["get pods", "ready or not, and why not"],
    ["get pvc,pv -A", "claims and what they are bound to, in all namespaces"],
    ["get secret db -o yaml", "one object as it is stored; its data is in base64"],
    ["get events", "what happened lately"],
    ["get operations", "what the volume manager does now, or tries again"],
    ["get capacity", "what PersistentVolumes can still be made, and what they hold"],
  ],
  async run({ arguments: [word, ...names], flags, output, signal, client }) {
    const asked: Asked = {
      namespace: flags.namespace,
      everywhere: flags["all-namespaces"],
      form: output.asJson ? "json" : output.quiet ? "name" : flags.output,
      output,
      signal,
      api: await client(),
    };
    if (word === "capacity") return await printCapacity(asked.api, output, asked.form, signal);
    if (word === "operations") return await printOperations(asked);
    if (word === "events" || word === "event" || word === "ev") return await printEvents(asked);
    if (word!.includes("/")) {
      return print(
        asked,
        await Promise.all(placesOf([word!, ...names], asked.namespace).map((p) => one(asked, p))),
        true,
      );
    }
    const kinds: KubeKind[] = word === "all" ? [...KUBE_KINDS].reverse() : word!.split(",").map(kindOf);
    if (names.length > 0) {
      if (kinds.length > 1) throw new UsageError("A NAME goes with one KIND");
      const places = placesOf([kinds[0]!.plural, ...names], asked.namespace);
      return print(asked, await Promise.all(places.map((place) => one(asked, place))), names.length === 1);
    }
    const lists = await Promise.all(kinds.map((kind) => list(asked, kind)));
    print(asked, lists.flat(), false, kinds.length > 1);
    if (lists.flat().length === 0 && !asked.form) {
      const where = asked.everywhere || kinds.every(({ namespaced }) => !namespaced)
        ? ""
        : ` in namespace ${asked.namespace}`;
      output.note(`There are none${where}`);
    }
  },
});

const describe = command({
  words: ["describe"],
  summary: "Tell about an object: what it says, how far it is, what happened",
  arguments: [
    { name: "KIND", help: "pod, pvc, pv, sc, cm, secret, … or KIND/NAME", complete: KIND_WORDS },
    { name: "NAME", help: "names", optional: true, repeated: true },
  ],
  flags: { namespace: namespaceFlag },
  examples: [["describe pod web", "with its events: why it is not ready"], [
    "describe pvc/data",
    "why a claim is not bound",
  ]],
  async run({ arguments: words, flags, output, signal, client }) {
    const api = await client();
    for (const [i, place] of placesOf(words, flags.namespace).entries()) {
      const object = await api.json<KubeObject>("GET", objectPath(place), { signal });
      const events = await eventsOf(api, signal, {
        kind: object.kind,
        namespace: object.metadata.namespace,
        name: object.metadata.name,
      });
      const own = events.filter(({ involvedObject: { uid } }) => uid === undefined || uid === object.metadata.uid);
      if (output.asJson) {
        output.json({ object, events: own });
        continue;
      }
      if (i > 0) output.line();
      for (const line of describeLines(object, own)) output.line(line);
    }
  },
});

async function one({ api, signal }: Asked, place: ObjectPlace): Promise<KubeObject> {
  return await api.json<KubeObject>("GET", objectPath(place), { signal });
}

async function list({ api, signal, namespace, everywhere }: Asked, kind: KubeKind): Promise<KubeObject[]> {
  const whole = everywhere || !kind.namespaced;
  const path = whole ? `/v1/${kind.plural}` : `/v1/${kind.plural}/${encodeURIComponent(namespace)}`;
  return await api.json<KubeObject[]>("GET", path, { signal });
}

function print(asked: Asked, objects: readonly KubeObject[], single: boolean, titled = false): void {
  const { form, output, everywhere } = asked;
  const whole = single ? objects[0] : { apiVersion: "v1", kind: "List", items: objects };
  if (form === "json") return output.document(whole);
  if (form === "yaml") return output.line(stringify(whole, { version: "1.1", lineWidth: 0 }).trimEnd());
  if (form === "name") {
    return objects.forEach(({ kind, metadata }) => output.line(titleOf({ kind: kindOf(kind), name: metadata.name })));
  }
  const kinds = [...new Set(objects.map(({ kind }) => kind))];
  for (const [i, kind] of kinds.entries()) {
    if (i > 0) output.line();
    const rows = objects.filter((object) => object.kind === kind);
    const namespaces = everywhere && kindOf(kind).namespaced;
    const columns = columnsOf(kind, { wide: form === "wide", namespaces, now_ms: Date.now() });
    const prefix = `${kind.toLowerCase()}/`;
    output.table(
      columns.map(({ title, value, ...rest }) => ({
        ...rest,
        title,
        value: (row: KubeObject) => printable(`${titled && title === "NAME" ? prefix : ""}${value(row)}`),
      })),
      rows,
    );
  }
}

async function printEvents({ api, signal, form, output, namespace, everywhere }: Asked): Promise<void> {
  const events = await eventsOf(api, signal, everywhere ? {} : { namespace });
  // What belongs to no namespace concerns everybody.
  const cluster = everywhere || namespace !== DEFAULT_NAMESPACE
    ? []
    : (await eventsOf(api, signal, {})).filter(({ involvedObject }) => involvedObject.namespace === undefined);
  const all = [...events, ...cluster].sort((a, b) => a.lastTimestamp < b.lastTimestamp ? -1 : 1);
  if (form === "json") return output.document(all);
  if (form === "yaml") return output.line(stringify(all).trimEnd());
  output.table(
    eventColumns(Date.now(), everywhere).map((column) => ({
      ...column,
      value: (event: ObjectEventRecord) => printable(String(column.value(event))),
    })),
    all,
  );
}

async function printOperations({ api, signal, form, output }: Asked): Promise<void> {
  let operations: OperationStatus[];
  try {
    operations = await api.json<OperationStatus[]>("GET", "/v1/operations", { signal });
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) throw new UsageError("This daemon has no volume manager");
    throw error;
  }
  if (form === "json") return output.document(operations);
  if (form === "yaml") return output.line(stringify(operations).trimEnd());
  const now_ms = Date.now();
  output.table<OperationStatus>([
    { title: "NAME", value: ({ name }) => name },
    { title: "KEY", value: ({ key }) => printable(key) },
    { title: "PLUGIN", value: ({ plugin }) => plugin },
    { title: "STATE", value: ({ state }) => state },
    { title: "TRIES", value: ({ attempts }) => attempts, right: true },
    { title: "SINCE", value: ({ since }) => shortAge(since, now_ms) },
    { title: "LAST ERROR", value: ({ last_error }) => printable(last_error ?? "") },
  ], operations);
}

async function eventsOf(
  api: Client,
  signal: AbortSignal,
  query: Readonly<Record<string, string | undefined>>,
): Promise<ObjectEventRecord[]> {
  return await api.json<ObjectEventRecord[]>("GET", "/v1/object-events", { query, signal });
}

/** The object in YAML without what repeats itself, values of Secrets as their sizes; then its events. */
function describeLines(object: KubeObject, events: readonly ObjectEventRecord[]): string[] {
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
  const lines = stringify(head, { version: "1.1", lineWidth: 0 }).trimEnd().split("\n").map(printable);
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

/** A pod's status without the mounts that are the same in every container; `get -o yaml` has them. */
function withoutMounts(status: KubeObject["status"]): unknown {
  const statuses = status?.containerStatuses;
  if (!Array.isArray(statuses)) return status;
  return { ...status, containerStatuses: statuses.map(({ mounts: _, ...rest }) => rest) };
}

function sizesOf(data: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries((data ?? {}) as Record<string, string>).map(([key, value]) => {
      const padding = /=*$/.exec(value)![0].length;
      return [key, `${value.length / 4 * 3 - padding} bytes`];
    }),
  );
}

/** See the head of the file. */
export const getCommands: readonly Command[] = [get, describe];
