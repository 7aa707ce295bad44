/** The daemon is killed while pods come and go; the next one finishes what it finds. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { parseManifest } from "../../runtime/cli/manifest.ts";
import { type LaminaProcess, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { writeImage } from "../support/test_runtime.ts";
import { put, remove, untilNone, untilPod } from "./support/daemon_objects.ts";
import { exampleText, holds } from "./support/pods.ts";

/** Milliseconds after which the daemon is killed: while objects are stored, volumes mounted, roots made, and after. */
const DELAYS_MS = [0, 15, 40, 90, 180, 400];
const FILES = ["article-pod.yaml", "sub-path.yaml", "claim-dynamic.yaml", "ephemeral.yaml"];
const PODS = ["storage-tour", "lamp-site", "shop", "with-scratch"];

rootTest("a daemon that is killed while pods come and go leaves nothing undone", async () => {
  await using scratch = await scratchDirectory();
  const host = join(scratch.path, "host");
  const place = join(scratch.path, "d");
  await Deno.mkdir(host);
  await Deno.mkdir(place);
  await writeImage(place, "small:1", [{ "etc/motd": "hello\n" }]);
  const objects = FILES.flatMap((file) => parseManifest(exampleText(file, host), file));
  for (const delay_ms of DELAYS_MS) {
    await killedWhile(place, delay_ms, async (daemon) => {
      if (delay_ms === DELAYS_MS[0]) await daemon.lamina("image", "import", join(place, "layout"));
      for (const { value } of objects) await put(daemon, value);
    });
    await killedWhile(place, delay_ms, async (daemon) => {
      for (const { value } of objects) await put(daemon, value);
      for (const name of PODS) await untilPod(daemon, name, (pod) => holds(pod, "Ready"));
      for (const { value } of [...objects].reverse()) await remove(daemon, value);
    });
    await using daemon = await startLamina(place);
    for (const { value } of [...objects].reverse()) await remove(daemon, value);
    for (const name of PODS) await untilPod(daemon, name, (pod) => pod === undefined);
    await untilNone(daemon, "/v1/persistentvolumeclaims");
    await untilNone(daemon, "/v1/persistentvolumes");
    const findings = JSON.parse(await daemon.lamina("check", "--json")) as { findings: { kind: string }[] };
    assertEquals(findings.findings, [], `killed after ${delay_ms} ms`);
    assertEquals(JSON.parse(await daemon.lamina("container", "ls", "--json")), []);
  }
});

/** Starts a daemon, and kills it that long after the last request of `body` was answered. */
async function killedWhile(
  place: string,
  delay_ms: number,
  body: (daemon: LaminaProcess) => Promise<void>,
): Promise<void> {
  await using daemon = await startLamina(place);
  await body(daemon);
  await new Promise((resolve) => setTimeout(resolve, delay_ms));
  Deno.kill(daemon.pid, "SIGKILL");
}
