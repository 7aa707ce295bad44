/** Objects on the command line: which kind is meant, where it is, how it is waited for. */
import { LaminaError } from "../core/errors.ts";
import type { KubeObject, WatchLine } from "../core/model/object.ts";
import { KUBE_KINDS, type KubeKind, kubeKindNamed } from "../core/specs/kube/kinds.ts";
import { apiPath, type Client } from "./client.ts";
import { UsageError } from "./parse.ts";
import { nearest } from "./suggest.ts";

/** The namespace of who names none. */
export const DEFAULT_NAMESPACE = "default";

/** What completes a KIND. */
export const KIND_WORDS: readonly string[] = KUBE_KINDS.flatMap((kind: KubeKind) => [kind.plural, ...kind.short]);

/** The flag that names a namespace. */
export const namespaceFlag = {
  kind: "text",
  short: "n",
  value: "NAMESPACE",
  help: "Namespace of the objects",
  default: DEFAULT_NAMESPACE,
} as const;

/** One object that is meant. */
export interface ObjectPlace {
  readonly kind: KubeKind;
  /** Empty where the kind has none. */
  readonly namespace: string;
  readonly name: string;
}

/** @throws {UsageError} for a word that names no kind. */
export function kindOf(word: string): KubeKind {
  const kind = kubeKindNamed(word);
  if (kind !== undefined) return kind;
  const guess = nearest(word.toLowerCase(), KIND_WORDS);
  throw new UsageError(
    `There is no kind ${JSON.stringify(word)}. Lamina knows ${KUBE_KINDS.map(({ plural }) => plural).join(", ")}`,
    guess === undefined ? undefined : `did you mean ${guess}?`,
  );
}

/** `KIND NAME…` or `KIND/NAME…`. */
export function placesOf(words: readonly string[], namespace: string): ObjectPlace[] {
  const place = (word: string, name: string) => {
    const kind = kindOf(word);
    return { kind, namespace: kind.namespaced ? namespace : "", name };
  };
  if (words.every((word) => word.includes("/"))) {
    return words.map((word) => {
      const [kind, name, ...more] = word.split("/");
      if (!kind || !name || more.length > 0) throw new UsageError(`${JSON.stringify(word)} is not KIND/NAME`);
      return place(kind, name);
    });
  }
  const [kind, ...names] = words;
  if (names.length === 0) throw new UsageError("Which one? Say KIND NAME or KIND/NAME");
  return names.map((name) => place(kind!, name));
}

/** The path of an object's routes. */
export function objectPath({ kind, namespace, name }: ObjectPlace): string {
  return `/v1/${kind.plural}` + (kind.namespaced ? apiPath`/${namespace}/${name}` : apiPath`/${name}`);
}

/** `pod/web`, as kubectl says it. */
export function titleOf({ kind, name }: { kind: KubeKind; name: string }): string {
  return `${kind.kind.toLowerCase()}/${name}`;
}

/** The place of an object. */
export function placeOf(object: KubeObject): ObjectPlace {
  return {
    kind: kindOf(object.kind),
    namespace: object.metadata.namespace ?? "",
    name: object.metadata.name,
  };
}

/**
 * Follows an object until `done` says so.
 *
 * @param done Is given the object as it is, `undefined` while there is none.
 * @returns whether it came so far before the deadline; and the object as it was last seen.
 */
export async function follow(
  client: Client,
  place: ObjectPlace,
  done: (object: KubeObject | undefined) => boolean,
  options: { readonly signal: AbortSignal; readonly timeout_ms: number },
): Promise<{ readonly done: boolean; readonly last: KubeObject | undefined }> {
  const late = AbortSignal.timeout(options.timeout_ms);
  const signal = AbortSignal.any([options.signal, late]);
  let last: KubeObject | undefined;
  try {
    for await (const line of client.lines<WatchLine>(objectPath(place), { query: { watch: true }, signal })) {
      if (line.type === "bookmark") {
        if (last === undefined && done(undefined)) return { done: true, last };
        continue;
      }
      last = line.type === "deleted" ? undefined : line.object;
      if (done(last)) return { done: true, last };
    }
  } catch (error) {
    if (!late.aborted) throw error;
    return { done: false, last };
  }
  throw new LaminaError("UNAVAILABLE", `The daemon stopped while ${titleOf(place)} was waited for`);
}

/** `30s`, `5m`, `1h`, `500ms`, `90` (seconds) in milliseconds. @throws {UsageError} */
export function durationOf(flag: string, text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text);
  if (match === null) throw new UsageError(`--${flag} is a time like 30s, 5m or 1h; not ${JSON.stringify(text)}`);
  const unit_ms = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"]!;
  return Math.min(Number(match[1]) * unit_ms, 2 ** 31 - 1);
}
