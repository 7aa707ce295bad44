/** Secrets of pods are read by their containers, and by nobody else on this machine. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { applyText, deleted, exampleText, podRuntime, ready, rootOf } from "../pod/support/pods.ts";
import { rootTest } from "../support/scratch.ts";

/** Runs a program as somebody who is not root. */
function asNobody(...args: string[]) {
  return runCommand("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...args]);
}

rootTest(
  "who is not root gets at no secret of a pod, neither by its volume nor by the root that shows it",
  async () => {
    await using room = await podRuntime();
    const { test, host } = room;
    // What is above the root is not what keeps them out.
    Deno.chmodSync(dirname(test.root), 0o755);
    const manifest = exampleText("secret.yaml", host).replace("defaultMode: 0400", "defaultMode: 0444");
    await applyText(test.runtime, manifest);
    const pod = await ready(test.runtime, "secret-files");
    const root = rootOf(pod, "main");
    const volume = join(test.root, "pods", pod.metadata.uid, "volumes/kubernetes.io~secret/database");
    for (const path of [join(root, "etc/database/password"), join(volume, "password")]) {
      assertEquals((await runCommand("cat", [path])).stdout, "1f2d1e2e67df");
      const { code, stdout, stderr } = await asNobody("cat", path);
      assertEquals([code, stdout], [1, ""]);
      assertStringIncludes(stderr, "Permission denied");
    }
    // Still after the root was taken down and put together again.
    await runCommand("umount", ["-R", root]);
    await test.restart();
    await ready(test.runtime, "secret-files");
    assertEquals((await asNobody("cat", join(root, "etc/database/password"))).code, 1);
    await deleted(test.runtime, "Pod", "secret-files");
  },
);
