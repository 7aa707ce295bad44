/** Volumes of real servers: NFS through whole pods, iSCSI through its plugin. The host's kernel has neither. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { NetworkBlockPlugin } from "../../drivers/volume/network/block_plugin.ts";
import { IscsiKind } from "../../drivers/volume/network/iscsi/iscsi_kind.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { mountAtTarget, mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import {
  applyText,
  deleted,
  eventsOf,
  holds,
  podRuntime,
  ready,
  rootOf,
  until as reaches,
} from "../pod/support/pods.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { PluginStage } from "./stage.ts";
import { iscsiTarget, nfsServer, until } from "./support/real_servers.ts";

const nfsClaim = (name: string, path: string) => `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: ${name}}, spec: {capacity: {storage: 1Gi},
  storageClassName: nfs, accessModes: [ReadWriteMany], mountOptions: [nfsvers=4.2, timeo=50], nfs: {server: 127.0.0.1, path: ${path}}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: ${name}}, spec: {storageClassName: nfs, volumeName: ${name},
  accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}
---
`;
const pod = (name: string, source: string, mount = "") => `
{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {terminationGracePeriodSeconds: 1,
  containers: [{name: main, image: "small:1", volumeMounts: [{name: v, mountPath: /v${mount}}]}],
  volumes: [{name: v, ${source}}]}}
---
`;
const claimed = (claim: string) => `persistentVolumeClaim: {claimName: ${claim}}`;

rootTest("an NFS export is one mount for its pods, and a server that falls silent holds up nobody else", async () => {
  await using exported = await scratchDirectory();
  const [one, two] = ["one", "two"].map((name) => join(exported.path, name)) as [string, string];
  for (const path of [one, two]) Deno.mkdirSync(path);
  await using server = await nfsServer([one, two]);
  await using room = await podRuntime();
  const { test: { runtime }, test } = room;
  await applyText(
    runtime,
    nfsClaim("shared", one) + pod("writer", claimed("shared")) +
      pod("reader", claimed("shared"), ", readOnly: true"),
  );
  const [writer, reader] = [
    rootOf(await ready(runtime, "writer"), "main"),
    rootOf(await ready(runtime, "reader"), "main"),
  ];
  await Deno.writeTextFile(join(writer, "v/file"), "through the network");
  assertEquals(await Deno.readTextFile(join(one, "file")), "through the network");
  assertEquals(await Deno.readTextFile(join(reader, "v/file")), "through the network");
  await assertRejects(() => Deno.writeTextFile(join(reader, "v/other"), ""), Error, "Read-only file system");
  const nfs = () => mountsBelow(readMountTable(), join(test.root, "plugins")).filter(({ type }) => type === "nfs4");
  assertEquals(nfs().map(({ source }) => source), [`127.0.0.1:${one}`]);

  // What is not exported is told as the server tells it.
  await applyText(runtime, pod("wrong", `nfs: {server: 127.0.0.1, path: ${exported.path}/none}`));
  await reaches(
    runtime,
    "Pod",
    "wrong",
    () => eventsOf(runtime, "wrong").some((line) => line.startsWith("FailedMount")),
  );
  const told = eventsOf(runtime, "wrong").find((line) => line.startsWith("FailedMount"))!;
  assertStringIncludes(told, `${exported.path}/none`);
  await deleted(runtime, "Pod", "wrong");

  await server.silence();
  await applyText(runtime, nfsClaim("late", two) + pod("late", claimed("late")) + pod("other", "emptyDir: {}"));
  await ready(runtime, "other");
  assertEquals(holds(runtime.objects.get("Pod", "default", "late"), "Ready"), false);
  // Taken away in order, then by force, at last out of sight.
  for (const name of ["late", "reader", "writer", "other"]) await deleted(runtime, "Pod", name);
  await until("no mount of it is left", () => nfs().length === 0);
  assertEquals(runtime.operations.volumesInUse(), []);
  await server.speak();
  assertEquals(await Deno.readTextFile(join(one, "file")), "through the network");
  assertEquals(await test.check(), []);
});

rootTest(
  "a disk of a real iSCSI target is formatted, kept over a logout, and its password is no argument",
  async () => {
    const iqn = "iqn.2001-04.com.example:storage", password = "hunter2hunter2";
    await using stage = await PluginStage.open();
    const file = join(stage.layout.root, "disk"), path = join(stage.layout.root, "mount");
    await commandOutput("truncate", ["-s", "64M", file]);
    await Deno.mkdir(path);
    await using _target = await iscsiTarget(iqn, file, { user: "me", password });
    const base64 = (text: string) => new TextEncoder().encode(text).toBase64();
    const secret = (name: string, word: string) =>
      stage.apply("Secret", name, {
        data: { "node.session.auth.username": base64("me"), "node.session.auth.password": base64(word) },
      });
    secret("right", password);
    secret("wrong", "not this one 123");
    const disk = (name: string) =>
      stage.spec("disk", {
        iscsi: {
          targetPortal: "127.0.0.1",
          iqn,
          lun: 1,
          chapAuthSession: true,
          secretRef: { name, namespace: "shop" },
        },
      });
    const context = { mounter: stage.mounter, layout: stage.layout, engine: stage.engine, objects: stage.lookup };
    const plugin = () => new NetworkBlockPlugin(context, new IscsiKind(context));
    const refused = await assertRejects(() => plugin().attacher.attach(disk("wrong"), stage.operation), LaminaError);
    assertStringIncludes(refused.message, `Cannot log in to ${iqn}`);
    assertEquals(refused.message.includes("not this one"), false);

    const spec = disk("right");
    for (const expected of [undefined, "kept"]) {
      const first = plugin();
      const devicePath = await first.attacher.attach(spec, stage.operation);
      assertEquals(await first.attacher.attach(spec, stage.operation), devicePath, "again");
      assert((await Deno.stat(devicePath)).isBlockDevice);
      await first.deviceMounter.mountDevice({ spec, path, devicePath }, stage.operation);
      assertEquals(mountAtTarget(readMountTable(), path)?.type, "ext4");
      const found = await Deno.readTextFile(join(path, "file")).catch(() => undefined);
      assertEquals(found, expected);
      await Deno.writeTextFile(join(path, "file"), "kept");
      // Another process takes it down, by what the id says alone.
      const next = plugin();
      const volumeId = next.volumeId(spec);
      await next.deviceMounter.unmountDevice({ volumeId, path }, stage.operation);
      await next.attacher.detach(volumeId, devicePath, stage.operation);
      await next.attacher.detach(volumeId, devicePath, stage.operation);
      await assertRejects(() => Deno.stat(devicePath), Deno.errors.NotFound);
      assertEquals((await runCommand("iscsiadm", ["-m", "session"])).code, 21, "no session is left");
      await assertRejects(() => Deno.stat(`/etc/iscsi/nodes/${iqn}`), Deno.errors.NotFound);
    }
  },
);
