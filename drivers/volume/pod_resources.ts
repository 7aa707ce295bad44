/** What a pod says of its containers. Pure; pods as applied (Kubernetes v1 JSON). */
import { parseQuantity } from "../../runtime/core/quantity.ts";

/** A container as far as this file looks at it. */
export interface ContainerResources {
  readonly name?: unknown;
  readonly resources?: {
    readonly limits?: Readonly<Record<string, unknown>>;
    readonly requests?: Readonly<Record<string, unknown>>;
  };
  readonly volumeMounts?: ReadonlyArray<{ readonly name?: unknown; readonly mountPropagation?: unknown }>;
}

/** A pod's containers, those that run first in front. */
export function containersOfPod(pod: Readonly<Record<string, unknown>> | undefined): ContainerResources[] {
  const spec = pod?.spec as { initContainers?: ContainerResources[]; containers?: ContainerResources[] } | undefined;
  return [...spec?.initContainers ?? [], ...spec?.containers ?? []];
}

/** Memory that all containers of a pod may use together; `undefined` when one of them has no limit. */
export function podMemoryLimit(pod: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const spec = pod?.spec as { containers?: ContainerResources[] } | undefined;
  const limits = (spec?.containers ?? []).map(({ resources }) =>
    parseQuantity(String(resources?.limits?.memory ?? ""))
  );
  if (limits.length === 0) return undefined;
  return limits.reduce((sum, limit) => sum === undefined || limit === undefined ? undefined : sum + limit, 0);
}
