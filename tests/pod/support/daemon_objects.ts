/** Objects of a daemon in a process of its own, over its API. */
import type { KubeObject } from "../../../runtime/core/model/object.ts";
import { kindOf, objectPath } from "../../../runtime/cli/kube_objects.ts";
import type { LaminaProcess } from "../../e2e/lamina_process.ts";

/** Generous: the machine may be busy. */
const PATIENCE_MS = 60_000;

/** Applies an object. @throws what the daemon says, or that it does not answer. */
export async function put(daemon: LaminaProcess, value: Record<string, unknown>): Promise<void> {
  const response = await daemon.request(pathOf(value), {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(answer);
}

/** Deletes an object; gone already is fine. */
export async function remove(daemon: LaminaProcess, value: Record<string, unknown>): Promise<void> {
  const response = await daemon.request(pathOf(value), { method: "DELETE" });
  const answer = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(answer);
}

/** Waits until `done` says so of a pod; it is given `undefined` while there is none. */
export async function untilPod(
  daemon: LaminaProcess,
  name: string,
  done: (pod: KubeObject | undefined) => boolean,
): Promise<void> {
  await eventually(async () => {
    const response = await daemon.request(`/v1/pods/default/${name}`);
    const pod = await response.json();
    return done(response.ok ? pod : undefined) || pod;
  }, `pod ${name}`);
}

/** Waits until a list is empty. */
export async function untilNone(daemon: LaminaProcess, path: string): Promise<void> {
  await eventually(async () => {
    const left = await (await daemon.request(path)).json() as unknown[];
    return left.length === 0 || left;
  }, path);
}

/** Looks until it sees `true`; otherwise tells what it saw last. */
export async function eventually(look: () => Promise<unknown>, what: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (seen === true) return;
    if (performance.now() > end) throw new Error(`${what} did not come so far: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function pathOf(value: Record<string, unknown>): string {
  const kind = kindOf(String(value.kind));
  const { name } = value.metadata as { name: string };
  return objectPath({ kind, namespace: kind.namespaced ? "default" : "", name });
}
