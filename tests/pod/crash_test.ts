/** The daemon is killed at each step of a pod's life that lasts; the next one finishes it, or undoes it. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { parseManifest } from "../../runtime/cli/manifest.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { type LaminaProcess, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { writeImage } from "../support/test_runtime.ts";
import { eventually, put, remove, untilNone, untilPod } from "./support/daemon_objects.ts";
import { exampleText, holds } from "./support/pods.ts";

const FILES = ["article-pod.yaml", "ephemeral.yaml"];
const PODS = ["storage-tour", "with-scratch"];
/** Those that are passed for each container, or again and again. */
const TWICE = new Set(["pod.container_made", "pod.status_written", "pod.container_removed"]);
const FAULTS = FAULT_POINTS.filter((point) => point.startsWith("pod.")).flatMap((point) =>
  TWICE.has(point) ? [`${point}:1`, `${point}:2`] : [`${point}:1`]
);

rootTest("a SIGKILL at every step of bringing pods up and taking them down leaves nothing undone", async () => {
  await using scratch = await scratchDirectory();
  const host = join(scratch.path, "host");
  const place = join(scratch.path, "d");
  await Deno.mkdir(host);
  await Deno.mkdir(place);
  await writeImage(place, "small:1", [{ "etc/motd": "hello\n" }]);
  {
    await using daemon = await startLamina(place);
    await daemon.lamina("image", "import", join(place, "layout"));
  }
  const objects = FILES.flatMap((file) => parseManifest(exampleText(file, host), file)).map(({ value }) => value);
  for (const fault of FAULTS) {
    const { applied, deleting, inDoubt } = await playUntilKilled(place, objects, fault);
    await using daemon = await startLamina(place);
    // What was acknowledged happens without being asked for again …
    for (const name of PODS) {
      if (name === inDoubt) await untilPod(daemon, name, (pod) => pod === undefined || holds(pod, "Ready"));
      else if (deleting.has(name)) await untilPod(daemon, name, (pod) => pod === undefined);
      else if (applied.has(name)) await untilPod(daemon, name, (pod) => holds(pod, "Ready"));
    }
    // … and what was not can be asked for.
    if (deleting.size === 0 && inDoubt === undefined) {
      for (const value of objects) await put(daemon, value);
      for (const name of PODS) await untilPod(daemon, name, (pod) => holds(pod, "Ready"));
    }
    for (const value of objects.toReversed()) await remove(daemon, value);
    for (const name of PODS) await untilPod(daemon, name, (pod) => pod === undefined);
    await untilNone(daemon, "/v1/persistentvolumeclaims");
    await untilNone(daemon, "/v1/persistentvolumes");
    const { findings } = await (await daemon.request("/v1/check", { method: "POST" })).json();
    assertEquals(findings, [], fault);
    assertEquals(await (await daemon.request("/v1/containers")).json(), [], fault);
  }
});

/** Brings all pods up and takes them down again, as far as the daemon gets. @throws when it is not killed. */
async function playUntilKilled(
  place: string,
  objects: readonly Record<string, unknown>[],
  fault: string,
): Promise<{ applied: ReadonlySet<string>; deleting: ReadonlySet<string>; inDoubt: string | undefined }> {
  /** Whose deletion was asked for, and not answered. */
  let inDoubt: string | undefined;
  const applied = new Set<string>(), deleting = new Set<string>();
  await using daemon = await startLamina(place, { env: { LAMINA_FAULT: fault } });
  const nameOf = (value: Record<string, unknown>) => (value.metadata as { name: string }).name;
  try {
    for (const value of objects) {
      await put(daemon, value);
      if (value.kind === "Pod") applied.add(nameOf(value));
    }
    for (const name of PODS) await untilPod(daemon, name, (pod) => holds(pod, "Ready"));
    for (const value of objects.toReversed()) {
      if (value.kind !== "Pod") continue;
      inDoubt = nameOf(value);
      await remove(daemon, value);
      deleting.add(inDoubt);
      inDoubt = undefined;
    }
    await eventually(() => answers(daemon).then((yes) => !yes), `the daemon's end at ${fault}`);
  } catch (error) {
    // Killed in the middle of a request, as it should be.
    if (await answers(daemon)) throw error;
  }
  return { applied, deleting, inDoubt };
}

async function answers(daemon: LaminaProcess): Promise<boolean> {
  try {
    await (await daemon.request("/v1/info")).body?.cancel();
    return true;
  } catch {
    return false;
  }
}
