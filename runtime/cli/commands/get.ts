/** `lamina get` and `lamina describe`. */
import { isLaminaError } from "../../core/errors.ts";
import type { KubeObject, ObjectEventRecord } from "../../core/model/object.ts";
import { KUBE_KINDS, type KubeKind } from "../../core/specs/kube/kinds.ts";
import type { OperationStatus } from "../../volume/manager/port.ts";
import type { Client } from "../client.ts";
import { type Command, command } from "../command.ts";
import { printable } from "../human.ts";
import { describeLines } from "../describe_object.ts";
import { GrowingTable } from "../growing_table.ts";
import { columnsOf, eventColumns, shortAge } from "../kube_columns.ts";
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
import { listObjects, selectorFlag, watchObjects } from "../object_lists.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../parse.ts";
import { printCapacity } from "./capacity.ts";
import { yamlText } from "../yaml_text.ts";

const GET_WORDS = [...KIND_WORDS, "all", "events", "operations", "capacity"];

interface Asked {
  readonly namespace: string;
  readonly everywhere: boolean;
  readonly form: string | undefined;
  readonly selector: string | undefined;
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
    { name: "NAME", help: "names; absent: all", optional: true, repeated: true, complete: "object" },
  ],
  flags: {
    namespace: namespaceFlag,
    "all-namespaces": { kind: "switch", short: "A", help: "Objects of all namespaces" },
    selector: selectorFlag,
    watch: { kind: "switch", short: "w", help: "Go on with a line for each change, until it is interrupted" },
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
    ["get pods -w", "and each change that follows, as it happens"],
    ["get pods -l app=web,stage!=test", "by their labels"],
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
      selector: flags.selector,
      output,
      signal,
      api: await client(),
    };
    if (flags.watch) return await watch(asked, word!, names);
    if (word === "capacity") return await printCapacity(asked.api, output, asked.form, signal);
    if (word === "operations") return await printOperations(asked);
    if (word === "events" || word === "event" || word === "ev") return await printEvents(asked);
    if (word!.includes("/")) {
      return await print(
        asked,
        await Promise.all(placesOf([word!, ...names], asked.namespace).map((p) => one(asked, p))),
        true,
      );
    }
    const kinds: KubeKind[] = word === "all" ? [...KUBE_KINDS].reverse() : word!.split(",").map(kindOf);
    if (names.length > 0) {
      if (asked.selector !== undefined) throw new UsageError("A NAME goes not with --selector");
      if (kinds.length > 1) throw new UsageError("A NAME goes with one KIND");
      const places = placesOf([kinds[0]!.plural, ...names], asked.namespace);
      return await print(asked, await Promise.all(places.map((place) => one(asked, place))), names.length === 1);
    }
    const lists = await Promise.all(kinds.map((kind) => list(asked, kind)));
    await print(asked, lists.flat(), false, kinds.length > 1);
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
    { name: "NAME", help: "names", optional: true, repeated: true, complete: "object" },
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
      for (const line of await describeLines(object, own)) output.line(line);
    }
  },
});

async function one({ api, signal }: Asked, place: ObjectPlace): Promise<KubeObject> {
  return await api.json<KubeObject>("GET", objectPath(place), { signal });
}

function list({ api, signal, namespace, everywhere, selector }: Asked, kind: KubeKind): Promise<KubeObject[]> {
  return listObjects(api, kind, { namespace: everywhere ? undefined : namespace, selector, signal });
}

/** Every line is the object after a change, in the columns of the list; what is deleted says so. */
async function watch(asked: Asked, word: string, names: readonly string[]): Promise<void> {
  if (/^(all|events?|ev|operations|capacity)$/.test(word) || word.includes(",")) {
    throw new UsageError(`--watch goes with one KIND; not with ${JSON.stringify(word)}`);
  }
  if (asked.form === "yaml") throw new UsageError("--watch gives a table, -o wide, -o name or -o json");
  const [kindWord, inWord, ...more] = word.split("/");
  if (more.length > 0) throw new UsageError(`${JSON.stringify(word)} is not KIND/NAME`);
  const kind = kindOf(kindWord!);
  const wanted = new Set(inWord === undefined ? names : [inWord, ...names]);
  const { api, signal, output, form, everywhere, selector } = asked;
  const namespace = everywhere ? undefined : asked.namespace;
  const table = new GrowingTable(
    columnsOf(kind.kind, {
      wide: form === "wide",
      namespaces: everywhere && kind.namespaced,
      now_ms: () => Date.now(),
    }),
    output,
  );
  for await (const line of watchObjects(api, kind, { namespace, selector, signal })) {
    if (line.type === "bookmark") {
      table.begin();
      continue;
    }
    const { object, type } = line;
    if (wanted.size > 0 && !wanted.has(object.metadata.name)) continue;
    if (form === "json") output.line(JSON.stringify(line));
    else if (form === "name") output.line(titleOf({ kind, name: object.metadata.name }));
    else table.add(object, type === "deleted");
  }
}

async function print(
  asked: Asked,
  objects: readonly KubeObject[],
  single: boolean,
  titled = false,
): Promise<void> {
  const { form, output, everywhere } = asked;
  const whole = single ? objects[0] : { apiVersion: "v1", kind: "List", items: objects };
  if (form === "json") return output.document(whole);
  if (form === "yaml") return output.line(await yamlText(whole, { version: "1.1", lineWidth: 0 }));
  if (form === "name") {
    return objects.forEach(({ kind, metadata }) => output.line(titleOf({ kind: kindOf(kind), name: metadata.name })));
  }
  const kinds = [...new Set(objects.map(({ kind }) => kind))];
  for (const [i, kind] of kinds.entries()) {
    if (i > 0) output.line();
    const rows = objects.filter((object) => object.kind === kind);
    const namespaces = everywhere && kindOf(kind).namespaced;
    const columns = columnsOf(kind, { wide: form === "wide", namespaces, now_ms: () => Date.now() });
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
  if (form === "yaml") return output.line(await yamlText(all));
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
  if (form === "yaml") return output.line(await yamlText(operations));
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

/** See the head of the file. */
export const getCommands: readonly Command[] = [get, describe];
