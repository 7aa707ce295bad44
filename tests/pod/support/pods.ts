/** A runtime with pods: applies manifests, waits for what becomes of them. */
import { join } from "@std/path/posix";
import type { KubeObject, WatchLine } from "../../../runtime/core/model/object.ts";
import { parseManifest } from "../../../runtime/cli/manifest.ts";
import type { LaminaRuntime } from "../../../runtime/services.ts";
import { project } from "../../architecture/sources.ts";
import { TestRuntime } from "../../support/test_runtime.ts";

/** Generous: the machine may be busy. */
const PATIENCE_MS = 180_000;

/** The text of an example, its host directory moved to `host`. */
export function exampleText(name: string, host: string): string {
  return Deno.readTextFileSync(join(project, "tests/examples", name)).replaceAll("/srv/lamina-examples", host);
}

/** Applies each object of a manifest in its order. */
export async function applyText(runtime: LaminaRuntime, text: string): Promise<string[]> {
  const results: string[] = [];
  for (const { value } of parseManifest(text, "manifest")) {
    const operation = { signal: AbortSignal.timeout(PATIENCE_MS), progress: () => {} };
    const { result, object } = await runtime.objects.apply(value, { dryRun: false }, operation);
    results.push(`${object.kind} ${object.metadata.name} ${result}`);
  }
  return results;
}

/** Waits until `done` says so of an object; it is given `undefined` while there is none. */
export async function until(
  runtime: LaminaRuntime,
  kind: string,
  name: string,
  done: (object: KubeObject | undefined) => boolean,
): Promise<KubeObject | undefined> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  let last: KubeObject | undefined;
  for await (const line of runtime.objects.watch({ kind, name }, signal) as AsyncIterable<WatchLine>) {
    if (line.type === "bookmark") {
      if (last === undefined && done(undefined)) return undefined;
      continue;
    }
    last = line.type === "deleted" ? undefined : line.object;
    if (done(last)) return last;
  }
  const events = runtime.objects.events({ kind, name }).map(({ reason, message }) => `${reason}: ${message}`);
  throw new Error(`${kind} ${name} did not come so far: ${JSON.stringify(last?.status)}\n${events.join("\n")}`);
}

/** Whether a condition holds. */
export function holds(object: KubeObject | undefined, type: string): boolean {
  const conditions = (object?.status?.conditions ?? []) as { type: string; status: string }[];
  return conditions.some((one) => one.type === type && one.status === "True");
}

/** Waits until a pod is ready. */
export async function ready(runtime: LaminaRuntime, name: string): Promise<KubeObject> {
  return (await until(runtime, "Pod", name, (pod) => holds(pod, "Ready")))!;
}

/** Deletes an object and waits until it is gone. */
export async function deleted(runtime: LaminaRuntime, kind: string, name: string): Promise<void> {
  const namespace = kind === "PersistentVolume" || kind === "StorageClass" ? "" : "default";
  const operation = { signal: AbortSignal.timeout(PATIENCE_MS), progress: () => {} };
  await runtime.objects.delete(kind, namespace, name, operation);
  await until(runtime, kind, name, (object) => object === undefined);
}

/** Host path of a container's root, as the pod's status tells it. */
export function rootOf(pod: KubeObject, container: string): string {
  const statuses = [
    ...(pod.status?.initContainerStatuses ?? []) as { name: string; rootfs: string }[],
    ...(pod.status?.containerStatuses ?? []) as { name: string; rootfs: string }[],
  ];
  return statuses.find(({ name }) => name === container)!.rootfs;
}

/** Messages of the events about a pod, oldest first. */
export function eventsOf(runtime: LaminaRuntime, name: string): string[] {
  return runtime.objects.events({ kind: "Pod", name }).map(({ reason, message }) => `${reason}: ${message}`);
}

/** A runtime with the small image, and a directory of the host with a directory `there`. */
export async function podRuntime(): Promise<{ test: TestRuntime; host: string } & AsyncDisposable> {
  const test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  test.hostDirectory("host/there");
  return { test, host, [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
}
