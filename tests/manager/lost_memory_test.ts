/** A volume in memory of which containers have only parts, and that somebody unmounts. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { applyText, deleted, eventsOf, podRuntime, ready, rootOf } from "../pod/support/pods.ts";
import { rootTest } from "../support/scratch.ts";
import { eventually } from "./support/real_manager.ts";

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: parts }
spec:
  volumes: [{ name: cache, emptyDir: { medium: Memory } }]
  containers:
    - name: one
      image: small:1
      volumeMounts:
        - { name: cache, mountPath: /part, subPath: deep/part }
        - { name: cache, mountPath: /inner, subPath: deep/part/inner }
    - name: two
      image: small:1
      volumeMounts: [{ name: cache, mountPath: /other, subPath: other }]
`;

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

rootTest(
  "what containers have of it by a subPath is in the new volume, and nobody is left with the old one",
  async () => {
    await using room = await podRuntime();
    const { test: { runtime }, test } = room;
    await applyText(runtime, POD);
    const up = await ready(runtime, "parts");
    const one = rootOf(up, "one"), two = rootOf(up, "two");
    const path = join(test.root, "pods", up.metadata.uid, "volumes/kubernetes.io~empty-dir/cache");
    Deno.writeTextFileSync(join(one, "part/inner/file"), "kept");
    Deno.writeTextFileSync(join(two, "other/file"), "kept, too");
    Deno.writeTextFileSync(join(path, "seen-by-nobody"), "lost");
    await Deno.chmod(join(one, "part"), 0o1750);
    await Deno.chown(join(one, "part"), 12, 34);
    // Whoever sees that this is gone has looked at the volume, too.
    await runCommand("umount", [join(two, "other")]);
    await eventually("the root is whole again", () => exists(join(two, "other/file")));
    const deviceOf = (target: string) => mountAtTarget(readMountTable(), target)?.device;
    const before = deviceOf(path);
    await runCommand("umount", [path]);
    const targets = [join(one, "part"), join(one, "inner"), join(two, "other")];
    await eventually("all have the new volume", () => {
      const device = deviceOf(path);
      return device !== undefined && targets.every((target) => deviceOf(target) === device);
    });
    assertEquals(deviceOf(path) === before, false);
    assertEquals(Deno.readTextFileSync(join(one, "inner/file")), "kept");
    assertEquals(Deno.readTextFileSync(join(path, "deep/part/inner/file")), "kept");
    assertEquals(Deno.readTextFileSync(join(path, "other/file")), "kept, too");
    const { mode, uid, gid } = Deno.statSync(join(path, "deep/part"));
    assertEquals([mode! & 0o7777, uid, gid], [0o1750, 12, 34]);
    Deno.writeTextFileSync(join(two, "other/more"), "seen");
    assertEquals(Deno.readTextFileSync(join(path, "other/more")), "seen");
    await eventually(
      "people hear of it",
      () => eventsOf(runtime, "parts").some((line) => line.includes("VolumeRestored")),
    );
    // The old volume goes in the background, when nobody has it any more.
    const end_ms = Date.now() + 30_000;
    while ((await test.check()).length > 0 && Date.now() < end_ms) await new Promise((done) => setTimeout(done, 100));
    assertEquals(await test.check(), []);
    await deleted(runtime, "Pod", "parts");
    assertEquals(await test.check(), []);
  },
);
