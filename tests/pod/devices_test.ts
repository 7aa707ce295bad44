/** Raw block volumes in the roots of pods: real loop devices on files. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import type { Container } from "../../runtime/core/model/container.ts";
import type { KubeObject } from "../../runtime/core/model/object.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, unmountBelow } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { applyText, deleted, podRuntime, ready, rootOf, until } from "./support/pods.ts";

const SIZE_BYTES = 1 << 20;

/** A PersistentVolume that is a file, and a claim bound to it. */
function diskText(name: string, file: string, mode = "ReadWriteOnce"): string {
  return `
apiVersion: v1
kind: PersistentVolume
metadata: {name: ${name}}
spec:
  capacity: {storage: 1Mi}
  volumeMode: Block
  accessModes: [${mode}]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  local: {path: ${file}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ${name}}
spec:
  storageClassName: ""
  volumeMode: Block
  accessModes: [${mode}]
  volumeName: ${name}
  resources: {requests: {storage: 1Mi}}
`;
}

function podText(name: string, devicePath: string, options: { claim?: string; more?: string } = {}): string {
  const { claim = "disk", more = "" } = options;
  return `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {containers: [{name: main, image: "small:1", ` +
    `volumeDevices: [{name: raw, devicePath: ${devicePath}}]}], ` +
    `volumes: [{name: raw, persistentVolumeClaim: {claimName: ${claim}${more}}}]}}`;
}

function newDisk(host: string, name = "disk"): string {
  const path = join(host, name);
  const bytes = new Uint8Array(SIZE_BYTES);
  bytes.set(new TextEncoder().encode("as it was"));
  Deno.writeFileSync(path, bytes);
  return path;
}

/** Through the node to the medium. */
function writeThrough(node: string, text: string): void {
  using file = Deno.openSync(node, { write: true });
  file.writeSync(new TextEncoder().encode(text));
  file.syncDataSync();
}

function start(path: string, length: number): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(length);
  file.readSync(bytes);
  return new TextDecoder().decode(bytes);
}

async function containerOf(test: TestRuntime, pod: KubeObject): Promise<Container> {
  const [status] = pod.status!.containerStatuses as { containerID: string }[];
  const id = status!.containerID.replace("lamina://", "");
  return await test.runtime.containers.inspect(id, { size: false }, test.operation);
}

async function isMounted(path: string): Promise<boolean> {
  return (await runCommand("findmnt", ["-n", "--mountpoint", path], {})).code === 0;
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!await isSo()) {
    if (performance.now() > end) throw new Error("it did not happen within 60 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

rootTest(
  "a raw volume is a device in the pod's root that reaches the volume's file, and no change of the container",
  async () => {
    await using room = await podRuntime();
    const { test, host } = room;
    const file = newDisk(host);
    await applyText(test.runtime, diskText("disk", file));
    await applyText(test.runtime, podText("raw", "/dev/disks/xvda"));
    const pod = await ready(test.runtime, "raw");
    const node = join(rootOf(pod, "main"), "dev/disks/xvda");
    assert(Deno.statSync(node).isBlockDevice);
    assertEquals(start(node, 9), "as it was");
    writeThrough(node, "written in the container");
    assertEquals(start(file, 24), "written in the container");
    // The host's own node keeps its modes, whatever a container does.
    assertThrows(() => Deno.chmodSync(node, 0o777));

    const container = await containerOf(test, pod);
    const [device] = container.oci.linux!.devices;
    assertEquals({ ...device, minor: 0 }, {
      path: "/dev/disks/xvda",
      type: "b",
      major: 7,
      minor: 0,
      fileMode: 0o660,
      uid: 0,
      gid: 0,
    });
    assertEquals(container.oci.linux!.resources.devices, [
      { allow: true, type: "b", major: 7, minor: device!.minor, access: "rwm" },
    ]);
    assertEquals(container.oci.mounts.filter(({ destination }) => destination.includes("xvda")), []);

    assertEquals(await test.runtime.containers.diff(container.id, test.operation), []);
    const image = await test.runtime.containers.commit(container.id, { reference: "with:1" }, test.operation);
    const other = await test.create({ image: image.id });
    const { rootfs } = await test.mount(other.id);
    assertThrows(() => Deno.lstatSync(join(rootfs, "dev")), Deno.errors.NotFound);
    await test.remove(other.id, { force: true });

    await deleted(test.runtime, "Pod", "raw");
    assertEquals(await isMounted(node), false);
    assertEquals((await runCommand("losetup", ["-j", file], {})).stdout, "");
    assertEquals(start(file, 24), "written in the container");
    assertEquals(await test.check(), []);
  },
);

rootTest(
  "a device that somebody unmounts in a pod's root comes back, also after a restart and after a reboot",
  async () => {
    await using room = await podRuntime();
    const { test, host } = room;
    await applyText(test.runtime, diskText("disk", newDisk(host)));
    await applyText(test.runtime, podText("raw", "/dev/xvda"));
    const node = join(rootOf(await ready(test.runtime, "raw"), "main"), "dev/xvda");
    const isDevice = () => Promise.resolve(Deno.lstatSync(node).isBlockDevice === true);
    await runCommand("umount", [node], {});
    await eventually(isDevice);
    await test.runtime[Symbol.asyncDispose]();
    await runCommand("umount", [node], {});
    assertEquals(Deno.lstatSync(node).isFile, true);
    await test.reopen();
    await ready(test.runtime, "raw");
    await eventually(isDevice);
    await test.runtime[Symbol.asyncDispose]();
    await unmountBelow(test.root);
    await test.reopen();
    await eventually(async () => {
      try {
        return await isDevice();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    });
    const pod = await ready(test.runtime, "raw");
    assertEquals(await test.runtime.containers.diff((await containerOf(test, pod)).id, test.operation), []);
    await deleted(test.runtime, "Pod", "raw");
    assertEquals(await test.check(), []);
  },
);

rootTest("who may only read a raw volume cannot write to it, even beside somebody who may", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  const shared = newDisk(host, "shared");
  await applyText(test.runtime, diskText("disk", shared));
  await applyText(test.runtime, diskText("fixed", newDisk(host, "fixed"), "ReadOnlyMany"));
  await applyText(test.runtime, podText("writer", "/dev/xvda"));
  await applyText(test.runtime, podText("reader", "/dev/xvda", { more: ", readOnly: true" }));
  await applyText(test.runtime, podText("rox", "/dev/xvda", { claim: "fixed" }));
  const node = async (name: string) => join(rootOf(await ready(test.runtime, name), "main"), "dev/xvda");
  const writer = await node("writer");
  for (const name of ["reader", "rox"]) {
    const path = await node(name);
    assertEquals(start(path, 9), "as it was");
    assertThrows(() => writeThrough(path, "no"), Error, "os error");
    const { oci } = await containerOf(test, await ready(test.runtime, name));
    assertEquals(oci.linux!.resources.devices.map(({ access }) => access), ["rm"]);
    assertEquals(oci.linux!.devices.map(({ fileMode }) => fileMode), [0o440]);
  }
  writeThrough(writer, "by writer");
  assertEquals(start(shared, 9), "by writer");
  for (const name of ["writer", "reader", "rox"]) await deleted(test.runtime, "Pod", name);
  for (const name of ["shared", "fixed"]) {
    assertEquals((await runCommand("losetup", ["-j", join(host, name)], {})).stdout, "");
  }
});

rootTest("a devicePath follows the image's links inside the root, and a directory in its place is named", async () => {
  await using room = await podRuntime();
  const { test, host } = room;
  Deno.mkdirSync(join(host, "outside"));
  await test.importImage("small:1", [{ "etc/": "", "disks": `-> ${host}/outside`, "dev/console/": "" }]);
  await applyText(test.runtime, diskText("disk", newDisk(host)));
  await applyText(test.runtime, podText("linked", "/disks/one"));
  const root = rootOf(await ready(test.runtime, "linked"), "main");
  assert(Deno.statSync(join(root, host, "outside/one")).isBlockDevice);
  assertEquals([...Deno.readDirSync(join(host, "outside"))], []);
  await deleted(test.runtime, "Pod", "linked");
  await applyText(test.runtime, podText("taken", "/dev/console"));
  const waiting = await until(
    test.runtime,
    "Pod",
    "taken",
    (pod) => JSON.stringify(pod?.status ?? {}).includes("is a directory"),
  );
  assertStringIncludes(JSON.stringify(waiting!.status), "/dev/console is a directory, a file is needed");
  await deleted(test.runtime, "Pod", "taken");
  for (const path of ["/proc/disk", "/dev/shm/disk", "/", "/a/../b"]) {
    let refusal = "";
    await applyText(test.runtime, podText("refused", path)).catch((error) => refusal = String(error));
    assertStringIncludes(refusal, "spec.containers[0].volumeDevices[0].devicePath");
  }
});
