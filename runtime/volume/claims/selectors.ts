/** Label selectors and node affinity. Pure. */
import type { NodeAffinity } from "../../core/specs/kube/persistent_volume.ts";
import type { LabelSelector } from "../../core/specs/kube/primitives.ts";

/** A node as volumes see it. */
export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Labels = Readonly<Record<string, string>>;

/** Whether labels are chosen; no selector and an empty one choose all. */
export function selects(selector: LabelSelector | undefined, labels: Labels): boolean {
  return Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector?.matchExpressions ?? []).every((one) => holds(one, labels[one.key]));
}

/** Why a selector can never choose anything; `undefined`: it can. */
export function contradiction(selector: LabelSelector | undefined): string | undefined {
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const wanted = selector?.matchLabels?.[key];
    if (wanted !== undefined && !holds({ operator, values }, wanted)) {
      return `matchLabels wants ${key}=${wanted}, matchExpressions forbids it`;
    }
    for (const other of selector?.matchExpressions ?? []) {
      if (other.key !== key || operator !== "In") continue;
      if (!values.some((value) => holds(other, value))) return `no value of ${key} fulfils all of its matchExpressions`;
    }
  }
  return undefined;
}

/** Whether a volume can be used on a node: one of the terms holds, all of its requirements. */
export function fitsNode(affinity: NodeAffinity | undefined, node: NodeView): boolean {
  const terms = affinity?.required?.nodeSelectorTerms;
  if (terms === undefined) return true;
  return terms.some(({ matchExpressions = [], matchFields = [] }) =>
    // An empty term chooses nothing.
    matchExpressions.length + matchFields.length > 0 &&
    matchExpressions.every((one) => holds(one, node.labels[one.key])) &&
    matchFields.every((one) => holds(one, one.key === "metadata.name" ? node.name : undefined))
  );
}

function holds(
  { operator, values = [] }: { readonly operator: string; readonly values?: readonly string[] },
  found: string | undefined,
): boolean {
  const number = (text: string | undefined) => text !== undefined && /^-?\d+$/.test(text) ? Number(text) : NaN;
  switch (operator) {
    case "In":
      return found !== undefined && values.includes(found);
    case "NotIn":
      return found === undefined || !values.includes(found);
    case "Exists":
      return found !== undefined;
    case "DoesNotExist":
      return found === undefined;
    case "Gt":
      return number(found) > number(values[0]);
    case "Lt":
      return number(found) < number(values[0]);
    default:
      return false;
  }
}
