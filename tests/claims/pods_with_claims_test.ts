/** What claims become for the pods that use them: growth while they run, groups of files, reasons to wait. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { applyText, deleted, eventsOf, podRuntime, ready, rootOf, until } from "../pod/support/pods.ts";
import { rootTest } from "../support/scratch.ts";
import type { LaminaRuntime } from "../../runtime/services.ts";
import { MIB } from "./support/place.ts";

const pod = (name: string, claim: string, security = "") =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {${security}containers: [{name: main, image: "small:1", ` +
  `volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, persistentVolumeClaim: {claimName: ${claim}}}]}}`;
const claim = (name: string, className: string, storage: string) =>
  `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: ${name}}, spec: {storageClassName: ${className}, ` +
  `accessModes: [ReadWriteOnce], resources: {requests: {storage: ${storage}}}}}`;

function claimEvents(runtime: LaminaRuntime, name: string): string[] {
  return runtime.objects.events({ kind: "PersistentVolumeClaim", name })
    .map(({ reason, message }) => `${reason}: ${message}`);
}

rootTest("a claim that asks for more grows under its running pod, and one without a pod at its next", async () => {
  await using room = await podRuntime();
  const { runtime } = room.test;
  await applyText(
    runtime,
    `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: grows}, provisioner: lamina.dev/local, ` +
      `allowVolumeExpansion: true, parameters: {backing: image, fsType: xfs}}\n---\n${claim("data", "grows", "320Mi")}`,
  );
  await applyText(runtime, pod("first", "data"));
  const size_bytes = (root: string) => fileSystemStatus(join(root, "v")).total_bytes;
  const given = (storage: string) =>
    until(runtime, "PersistentVolumeClaim", "data", (object) => {
      const { capacity } = (object?.status ?? {}) as { capacity?: { storage: string } };
      return capacity?.storage === storage;
    });
  const root = rootOf(await ready(runtime, "first"), "main");
  Deno.writeTextFileSync(join(root, "v/file"), "kept");
  const small_bytes = size_bytes(root);
  await applyText(runtime, claim("data", "grows", "400Mi"));
  await given("400Mi");
  assert(size_bytes(root) > small_bytes + 60 * MIB, `${small_bytes} ${size_bytes(root)}`);
  assert(claimEvents(runtime, "data").some((line) => line.startsWith("VolumeResizeSuccessful: ")));

  await deleted(runtime, "Pod", "first");
  await applyText(runtime, claim("data", "grows", "500Mi"));
  await until(runtime, "PersistentVolumeClaim", "data", (object) => {
    const { conditions = [] } = (object?.status ?? {}) as { conditions?: { type: string }[] };
    return conditions.some(({ type }) => type === "FileSystemResizePending");
  });
  await applyText(runtime, pod("second", "data"));
  const next = rootOf(await ready(runtime, "second"), "main");
  await given("500Mi");
  assertEquals(Deno.readTextFileSync(join(next, "v/file")), "kept");
  assert(size_bytes(next) > small_bytes + 140 * MIB, `${small_bytes} ${size_bytes(next)}`);
  await deleted(runtime, "Pod", "second");
});

rootTest(
  "fsGroup reaches every file at each start, with OnRootMismatch once, and a file that refuses it is named",
  async () => {
    await using room = await podRuntime();
    const { test: { runtime }, test, host } = room;
    const data = join(host, "there");
    await applyText(
      runtime,
      `{apiVersion: v1, kind: PersistentVolume, metadata: {name: disk}, spec: {capacity: {storage: 1Gi}, ` +
        `accessModes: [ReadWriteOnce], storageClassName: m, local: {path: ${data}}}}\n---\n${
          claim("data", "m", "1Gi")
        }`,
    );
    const security = (policy: string) =>
      `securityContext: {fsGroup: 3000${policy === "" ? "" : `, fsGroupChangePolicy: ${policy}`}}, `;
    Deno.mkdirSync(join(data, "deep"));
    for (const name of ["deep/file", "late"]) Deno.writeTextFileSync(join(data, name), "", { mode: 0o600 });
    const look = (name: string) => {
      const { gid, mode } = Deno.statSync(join(data, name));
      return `${gid} ${(mode! & 0o7777).toString(8)}`;
    };
    const up = async (policy: string) => {
      await applyText(runtime, pod("worker", "data", security(policy)));
      await ready(runtime, "worker");
      await deleted(runtime, "Pod", "worker");
    };
    await up("");
    assertEquals([look("."), look("deep"), look("deep/file"), look("late")], [
      "3000 2775",
      "3000 2775",
      "3000 660",
      "3000 660",
    ]);
    Deno.chownSync(join(data, "late"), 0, 0);
    await up("OnRootMismatch");
    assertEquals(look("late"), "0 660", "the top is right: nothing is looked at");
    await up("Always");
    assertEquals(look("late"), "3000 660");
    Deno.chownSync(join(data, "late"), 0, 0);
    await up("");
    assertEquals(look("late"), "3000 660", "as in Kubernetes, Always is the default");

    Deno.chownSync(data, 0, 0);
    Deno.chownSync(join(data, "late"), 0, 0);
    await commandOutput("chattr", ["+i", join(data, "late")]);
    try {
      await applyText(runtime, pod("worker", "data", security("OnRootMismatch")));
      await until(runtime, "Pod", "worker", () => eventsOf(runtime, "worker").some((line) => line.includes("late")));
      const told = eventsOf(runtime, "worker").find((line) => line.includes("late"))!;
      assertStringIncludes(told, "FailedMount: ");
      assertStringIncludes(told, "the group 3000, stuck at");
      assertEquals(look(".").split(" ")[0], "0", "the top comes last");
    } finally {
      await commandOutput("chattr", ["-i", join(data, "late")]);
    }
    await ready(runtime, "worker");
    assertEquals([look("."), look("late")], ["3000 2775", "3000 660"]);
    await deleted(runtime, "Pod", "worker");
    assertEquals(await test.check(), []);
  },
);

rootTest("a claim that can never be had says why, at itself and at the pod that waits for it", async () => {
  await using room = await podRuntime();
  const { test: { runtime } } = room;
  await applyText(runtime, claim("never", "absent", "1Gi"));
  await applyText(runtime, pod("waiting", "never"));
  const seen = await until(runtime, "Pod", "waiting", (object) => {
    const { conditions = [] } = (object?.status ?? {}) as { conditions?: { message?: string }[] };
    return conditions.some(({ message }) => message?.includes('PersistentVolumeClaim "never" is not bound') ?? false);
  });
  assertEquals(seen!.status!.phase, "Pending");
  await until(runtime, "PersistentVolumeClaim", "never", () => claimEvents(runtime, "never").length > 0);
  assertStringIncludes(claimEvents(runtime, "never")[0]!, 'storageclass.storage.k8s.io "absent" not found');
  // What was missing comes: the pod goes on by itself.
  await applyText(
    runtime,
    "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: absent}, provisioner: lamina.dev/local, " +
      "parameters: {backing: image, overprovision: 'true'}}",
  );
  await ready(runtime, "waiting");
  await deleted(runtime, "Pod", "waiting");
});
