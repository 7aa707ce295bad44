/** `lamina wait` */
import { LaminaError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/model/object.ts";
import { type Command, command } from "../command.ts";
import { parseJsonPath, valueAt } from "../json_path.ts";
import {
  durationOf,
  follow,
  KIND_WORDS,
  kindOf,
  namespaceFlag,
  type ObjectPlace,
  placesOf,
  titleOf,
} from "../kube_objects.ts";
import { listPlaces, selectorFlag } from "../object_lists.ts";
import { UsageError } from "../parse.ts";

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
}

/** What is waited for. */
interface Goal {
  /** As kubectl says that it is reached. */
  readonly reached: string;
  isReached(object: KubeObject | undefined): boolean;
  /** Why it is not, as the object says itself. */
  why(object: KubeObject): string | undefined;
}

const waitCommand = command({
  words: ["wait"],
  summary: "Wait until an object is as it should be",
  arguments: [
    { name: "KIND", help: "pod, pvc, pv, … or KIND/NAME", complete: KIND_WORDS },
    { name: "NAME", help: "names", optional: true, repeated: true, complete: "object" },
  ],
  flags: {
    for: {
      kind: "text",
      value: "WHAT",
      help: "condition=Ready, condition=Ready=False, mounted, create, delete, or jsonpath={.status.phase}=Bound",
      complete: ["condition=Ready", "mounted", "create", "delete", "jsonpath="],
    },
    timeout: { kind: "text", value: "TIME", help: "How long at most", default: "30s" },
    namespace: namespaceFlag,
    all: { kind: "switch", help: "All objects of the kind in the namespace" },
    selector: selectorFlag,
  },
  examples: [
    ["wait pod web --for=condition=Ready --timeout=1m", "until its containers' roots are mounted"],
    ["wait pod/web --for=mounted", "until its volumes are, whatever its images"],
    ["wait pvc data --for=jsonpath={.status.phase}=Bound", "until a field has a value"],
    ["wait pod web --for=delete", "until it is gone"],
    ["wait pods --all --for=condition=Ready", "until every pod that there is now is ready"],
  ],
  async run({ arguments: words, flags, output, signal, client }) {
    if (flags.for === undefined) {
      throw new UsageError("What is to be waited for? Say --for=condition=Ready, or --for=delete");
    }
    const goal = goalOf(flags.for);
    const timeout_ms = durationOf("timeout", flags.timeout);
    const many = flags.all || flags.selector !== undefined;
    if (many && words.length !== 1) throw new UsageError("--all and --selector go with one KIND and no NAME");
    const named = many ? [] : placesOf(words, flags.namespace);
    const api = await client();
    const { namespace, selector } = flags;
    const places = many ? await listPlaces(api, kindOf(words[0]!), { namespace, selector, signal }) : named;
    if (places.length === 0) {
      if (goal.isReached(undefined)) return;
      throw new LaminaError("NOT_FOUND", `There is nothing to wait for: no ${kindOf(words[0]!).plural} like that`);
    }
    const end_ms = Date.now() + timeout_ms;
    for (const place of places) {
      const options = { signal, timeout_ms: Math.max(1, end_ms - Date.now()) };
      const { done, last } = await follow(api, place, (object) => goal.isReached(object), options);
      if (!done) throw tooLate(place, goal, flags, last);
      if (output.asJson) output.json(last ?? null);
      else output.line(output.quiet ? titleOf(place) : `${titleOf(place)} ${goal.reached}`);
    }
  },
});

/** Those that pods have. */
const CONDITIONS = ["Ready", "VolumesReady", "ContainersReady", "PodReadyToStartContainers"];

/** @throws {UsageError} */
function goalOf(text: string): Goal {
  if (text === "delete") {
    return {
      reached: "deleted",
      isReached: (object) => object === undefined,
      why: ({ metadata }) => {
        if (metadata.deletionTimestamp === undefined) return "nobody deletes it";
        return `it is held by ${(metadata.finalizers ?? []).join(", ")}`;
      },
    };
  }
  if (text === "create") {
    return { reached: "created", isReached: (object) => object !== undefined, why: () => undefined };
  }
  if (text === "mounted") return conditionGoal("VolumesReady", "True", "mounted");
  const [, what, rest] = /^(condition|jsonpath)=(.+)$/.exec(text) ?? [];
  if (what === "condition") {
    const [type, status = "True"] = rest!.split("=");
    return conditionGoal(type!, status, "condition met");
  }
  if (what === "jsonpath") {
    const [, path, wanted] = /^('?\{.*\}'?|[^=]+)(?:=(.*))?$/.exec(rest!) ?? [];
    const steps = parseJsonPath(path!.replace(/^'(.*)'$/, "$1"));
    const shown = (object: KubeObject) => {
      const value = valueAt(object, steps);
      return value === undefined || typeof value === "object" ? JSON.stringify(value) : String(value);
    };
    return {
      reached: "condition met",
      isReached: (object) => {
        if (object === undefined) return false;
        return wanted === undefined ? valueAt(object, steps) !== undefined : shown(object) === wanted;
      },
      why: (object) => `the value is ${shown(object) ?? "absent"}`,
    };
  }
  const guess = CONDITIONS.find((type) => type.toLowerCase() === text.toLowerCase());
  throw new UsageError(
    `--for is condition=TYPE, mounted, create, delete or jsonpath={PATH}=VALUE; not ${JSON.stringify(text)}`,
    guess === undefined ? undefined : `did you mean condition=${guess}?`,
  );
}

function conditionGoal(type: string, status: string, reached: string): Goal {
  const find = (object: KubeObject) =>
    ((object.status?.conditions ?? []) as Condition[]).find((one) => one.type.toLowerCase() === type.toLowerCase());
  return {
    reached,
    isReached: (object) =>
      object !== undefined && object.metadata.deletionTimestamp === undefined &&
      find(object)?.status.toLowerCase() === status.toLowerCase(),
    why: (object) => {
      if (object.metadata.deletionTimestamp !== undefined) return "it is being deleted";
      return find(object)?.message ?? `its condition ${type} is ${find(object)?.status ?? "not known"}`;
    },
  };
}

function tooLate(
  place: ObjectPlace,
  goal: Goal,
  flags: { readonly for?: string; readonly timeout: string },
  last: KubeObject | undefined,
): LaminaError {
  const why = last === undefined ? "there is no such object" : goal.why(last);
  return new LaminaError(
    last === undefined && flags.for !== "create" ? "NOT_FOUND" : "DEADLINE_EXCEEDED",
    `${titleOf(place)} did not come to ${flags.for} within ${flags.timeout}${why === undefined ? "" : `: ${why}`}`,
  );
}

/** See the head of the file. */
export const waitCommands: readonly Command[] = [waitCommand];
