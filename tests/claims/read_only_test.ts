/** A claim that may only be read is read-only for root in the container, too, and for all that is mounted below it. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { applyText, deleted, podRuntime, ready, rootOf } from "../pod/support/pods.ts";
import { rootTest } from "../support/scratch.ts";

function writes(directory: string): boolean {
  try {
    Deno.writeTextFileSync(join(directory, "probe"), "x");
    Deno.removeSync(join(directory, "probe"));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    return false;
  }
}

const objects = (source: string, modes: string, use: string) => `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: shared}, spec: {capacity: {storage: 1Gi},
  storageClassName: manual, accessModes: [${modes}], ${source}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: shared}, spec: {storageClassName: manual,
  accessModes: [${modes.split(",")[0]}], resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: reader}, spec: {
  volumes: [{name: v, persistentVolumeClaim: {claimName: shared${use}}}],
  containers: [{name: main, image: "small:1", volumeMounts: [
    {name: v, mountPath: /whole}, {name: v, mountPath: /part, subPath: sub},
    {name: v, mountPath: /travelling, mountPropagation: HostToContainer}]}]}}
`;

for (
  const [title, modes, use] of [
    ["a ReadOnlyMany claim", "ReadOnlyMany", ""],
    ["a ReadWriteOnce claim with readOnly in the pod", "ReadWriteOnce", ", readOnly: true"],
  ] as const
) {
  for (const kind of ["hostPath", "local"] as const) {
    rootTest(`${title} of a ${kind} volume: nobody writes, not below it either`, async () => {
      await using room = await podRuntime();
      const { test, host } = room;
      const data = join(host, "data");
      for (const path of ["sub", "before", "later"]) Deno.mkdirSync(join(data, path), { recursive: true });
      await commandOutput("mount", ["--bind", data, data]);
      await commandOutput("mount", ["--make-shared", data]);
      const mount = (name: string) => commandOutput("mount", ["-t", "tmpfs", name, join(data, name)]);
      await mount("before");
      try {
        const affinity = "nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: " +
          "[{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}";
        const source = `${kind}: {path: ${data}}${kind === "local" ? `, ${affinity}` : ""}`;
        await applyText(test.runtime, objects(source, modes, use));
        const root = rootOf(await ready(test.runtime, "reader"), "main");
        const places = ["whole", "whole/before", "part", "travelling", "travelling/before"];
        const result = () => places.filter((place) => writes(join(root, place)));
        assertEquals(result(), []);
        assertEquals([writes(data), writes(join(data, "before"))], [true, true], "the host's own is as it was");
        // What the host mounts there later would be writable: it stays away.
        await mount("later");
        places.push("whole/later", "travelling/later");
        assertEquals(result(), []);
        await deleted(test.runtime, "Pod", "reader");
      } finally {
        await commandOutput("umount", ["-R", data]);
      }
    });
  }
}
