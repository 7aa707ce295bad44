/** `lamina apply` and `lamina delete`. */
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import type { ApplyResult, KubeObject } from "../../core/model/object.ts";
import { KUBE_KINDS, type KubeKind } from "../../core/specs/kube/kinds.ts";
import { type Command, command } from "../command.ts";
import {
  DEFAULT_NAMESPACE,
  durationOf,
  follow,
  KIND_WORDS,
  kindOf,
  objectPath,
  type ObjectPlace,
  placesOf,
  titleOf,
} from "../kube_objects.ts";
import { listPlaces, selectorFlag } from "../object_lists.ts";
import { UsageError } from "../parse.ts";

const fileFlag = {
  kind: "list",
  short: "f",
  value: "FILE",
  help: "Manifest: a file, a directory, or - for standard input",
  complete: "file",
} as const;
const namespaceFlag = { kind: "text", short: "n", value: "NAMESPACE", help: "Of objects that name none" } as const;
const recursive = { kind: "switch", short: "R", help: "Directories with all that is below them" } as const;

const apply = command({
  words: ["apply"],
  summary: "Apply manifests: make what is not there, change what differs",
  description: "All files are checked before anything is sent. Fields that are given are set; those that were given " +
    "the last time and are not any more go; those that others have set stay. The same again changes nothing.",
  flags: {
    file: fileFlag,
    namespace: namespaceFlag,
    recursive,
    "dry-run": { kind: "switch", help: "Say what would be done, and do nothing" },
  },
  examples: [
    ["apply -f pod.yaml", "several documents in one file are fine"],
    ["apply -f manifests/ -n shop", "each *.yaml, *.yml and *.json of a directory"],
    ["apply -f - --dry-run", "from standard input, without doing anything"],
  ],
  async run({ flags, output, signal, client }) {
    if (flags.file.length === 0) throw new UsageError("What is to be applied? Say -f FILE");
    const { readManifests } = await import("../read_manifests.ts");
    const objects = await readManifests(flags.file, { namespace: flags.namespace, recursive: flags.recursive });
    const api = await client();
    const results: ApplyResult[] = [];
    for (const { value, to, place } of objects) {
      const path = objectPath(to);
      let answer: ApplyResult;
      try {
        answer = await api.json<ApplyResult>("PUT", path, {
          query: { dry_run: flags["dry-run"] },
          body: value,
          signal,
        });
      } catch (error) {
        if (output.asJson && results.length > 0) output.json(results);
        if (!isLaminaError(error)) throw error;
        throw new LaminaError(error.code, `${place}: ${error.message}`, { cause: error, details: error.details });
      }
      results.push(answer);
      if (output.asJson) continue;
      output.line(
        output.quiet ? titleOf(to) : `${titleOf(to)} ${answer.result}${flags["dry-run"] ? " (dry run)" : ""}`,
      );
    }
    if (output.asJson) output.json(results);
  },
});

const remove = command({
  words: ["delete"],
  summary: "Delete objects, and wait until they are gone",
  description: "Pods go first, then claims, then what they were made from. Data goes with a claim only where the " +
    "PersistentVolume's reclaim policy is Delete.",
  arguments: [
    { name: "KIND", help: "pod, pvc, pv, sc, cm, secret, … or KIND/NAME", optional: true, complete: KIND_WORDS },
    { name: "NAME", help: "names", optional: true, repeated: true, complete: "object" },
  ],
  flags: {
    file: fileFlag,
    namespace: namespaceFlag,
    recursive,
    all: { kind: "switch", help: "All objects of the kind in the namespace" },
    selector: selectorFlag,
    "ignore-not-found": { kind: "switch", help: "What is not there is success" },
    "no-wait": { kind: "switch", help: "Do not wait until they are gone" },
    "grace-period": { kind: "text", value: "SECONDS", help: "For whoever works in a pod; default: the pod's own" },
    force: { kind: "switch", help: "Wait for nobody: a pod's root, and mounts that hang, go out of sight" },
    timeout: { kind: "text", value: "TIME", help: "How long to wait at most", default: "5m" },
  },
  examples: [
    ["delete -f pod.yaml", "what a manifest names"],
    ["delete pod web", "one pod"],
    ["delete pvc --all -n shop", "all claims of a namespace"],
    ["delete pods -l app=web", "by their labels"],
    ["delete pod web --force", "one whose network volume does not answer"],
  ],
  async run({ arguments: words, flags, output, signal, client }) {
    const timeout_ms = durationOf("timeout", flags.timeout);
    const grace = graceOf(flags["grace-period"], flags.force);
    const api = await client();
    const namespace = flags.namespace ?? DEFAULT_NAMESPACE;
    const places: ObjectPlace[] = [];
    if (flags.file.length > 0) {
      if (words.length > 0) throw new UsageError("Say -f FILE, or KIND NAME; not both");
      const options = { namespace: flags.namespace, recursive: flags.recursive, loose: true };
      const { readManifests } = await import("../read_manifests.ts");
      places.push(...(await readManifests(flags.file, options)).map(({ to }) => to));
    } else if (flags.all || flags.selector !== undefined) {
      if (words.length !== 1) throw new UsageError("--all and --selector go with one KIND and no NAME");
      const { selector } = flags;
      places.push(...await listPlaces(api, kindOf(words[0]!), { namespace, selector, signal }));
      if (places.length === 0) output.note(`There are none in namespace ${namespace}`);
    } else {
      if (words.length === 0) throw new UsageError("What is to be deleted? Say -f FILE, KIND NAME or KIND/NAME");
      if (words.length === 1 && !words[0]!.includes("/")) throw whichOnes(kindOf(words[0]!));
      places.push(...placesOf(words, namespace));
    }
    const going: Array<{ place: ObjectPlace; uid: string }> = [];
    const ignore = flags["ignore-not-found"] || flags.all || flags.selector !== undefined;
    for (const place of byOrder(places)) {
      const answer = await unlessGone(
        api.json<{ gone: boolean; object: KubeObject }>("DELETE", objectPath(place), {
          query: place.kind.kind === "Pod" ? grace : undefined,
          signal,
        }),
        ignore,
      );
      if (answer === undefined) continue;
      if (output.quiet) output.line(titleOf(place));
      else if (!output.asJson) output.line(`${titleOf(place)} ${answer.gone ? "deleted" : "is being deleted"}`);
      if (!answer.gone) going.push({ place, uid: answer.object.metadata.uid });
    }
    if (output.asJson) output.json(places.map((place) => ({ kind: place.kind.kind, name: place.name })));
    if (flags["no-wait"]) return;
    const end_ms = Date.now() + timeout_ms;
    for (const { place, uid } of going) {
      const isGone = (object: KubeObject | undefined) => object?.metadata.uid !== uid;
      const { done, last } = await follow(api, place, isGone, { signal, timeout_ms: Math.max(1, end_ms - Date.now()) });
      if (!done) throw stillThere(place, last);
      if (!output.quiet && !output.asJson) output.line(`${titleOf(place)} deleted`);
    }
  },
});

/** The query that asks for it. */
function graceOf(seconds: string | undefined, force: boolean): { grace_period_seconds?: string } {
  if (seconds === undefined) return force ? { grace_period_seconds: "0" } : {};
  if (!/^\d{1,5}$/.test(seconds)) throw new UsageError(`--grace-period takes seconds; not ${JSON.stringify(seconds)}`);
  if (force && seconds !== "0") throw new UsageError("--force means --grace-period 0");
  return { grace_period_seconds: seconds };
}

function whichOnes({ kind, plural }: KubeKind): UsageError {
  return new UsageError(
    `Which ${kind}? Say KIND NAME (delete ${plural} NAME), or delete ${plural} --all for all of the namespace`,
  );
}

/** What uses others goes first. */
function byOrder(places: readonly ObjectPlace[]): ObjectPlace[] {
  const order = (place: ObjectPlace) => KUBE_KINDS.findIndex(({ kind }) => kind === place.kind.kind);
  return [...places].sort((a, b) => order(b) - order(a));
}

async function unlessGone<T>(answer: Promise<T>, ignore: boolean): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (ignore && isLaminaError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

function stillThere(place: ObjectPlace, last: KubeObject | undefined): LaminaError {
  const finalizers = [...last?.metadata.finalizers ?? []];
  const held = finalizers.length === 0 ? "" : ` (held by ${finalizers.join(", ")})`;
  return new LaminaError(
    "DEADLINE_EXCEEDED",
    `${
      titleOf(place)
    } is not gone yet${held}. lamina describe ${place.kind.plural} ${place.name} tells what it waits for`,
    { details: { finalizers } },
  );
}

/** See the head of the file. */
export const applyCommands: readonly Command[] = [apply, remove];
