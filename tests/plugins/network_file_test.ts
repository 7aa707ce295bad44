import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { cephFsKind, glusterKind, nfsKind } from "../../drivers/volume/network/file_kinds.ts";
import { NetworkFilePlugin } from "../../drivers/volume/network/network_file_plugin.ts";
import { unmountNetwork } from "../../drivers/volume/network/unmount.ts";
import type { VolumeSpec } from "../../drivers/volume/port.ts";
import { LaminaError, messageOf } from "../../runtime/core/errors.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import type { Mounter, UnmountOptions } from "../../runtime/host/mounter.ts";
import { libcTest, testOperation } from "../support/scratch.ts";
import { PluginStage } from "./stage.ts";
import { withPrograms } from "./support/programs.ts";

function spec(source: Record<string, unknown>, more: Partial<VolumeSpec> = {}): VolumeSpec {
  const plain = { read_only: false, mount_options: [], access_modes: [], volume_mode: "Filesystem" } as const;
  return { name: "share", source, ...plain, ...more };
}

Deno.test("network file systems are mounts for mount(8), in its own words", () => {
  const nfs = (more: Record<string, unknown>) => spec({ nfs: { server: "nas", path: "/exports/a", ...more } });
  const ceph = (more: Record<string, unknown>) => spec({ cephfs: { monitors: ["a:6789", "b:6789"], ...more } });
  const gluster = (endpoints: string, path: string) => spec({ glusterfs: { endpoints, path } });
  const table = [
    [nfsKind.mount(nfs({})), { type: "nfs", source: "nas:/exports/a", options: [] }],
    [nfsKind.mount(nfs({ readOnly: true })), { type: "nfs", source: "nas:/exports/a", options: ["ro"] }],
    [nfsKind.mount(nfs({ server: "fd00::7" })), { type: "nfs", source: "[fd00::7]:/exports/a", options: [] }],
    [nfsKind.mount({ ...nfs({}), mount_options: ["nfsvers=4.1", "soft"] }), {
      type: "nfs",
      source: "nas:/exports/a",
      options: ["nfsvers=4.1", "soft"],
    }],
    [nfsKind.mount({ ...nfs({}), access_modes: ["ReadOnlyMany"] }), {
      type: "nfs",
      source: "nas:/exports/a",
      options: ["ro"],
    }],
    [cephFsKind.mount(ceph({})), {
      type: "ceph",
      source: "a:6789,b:6789:/",
      options: ["name=admin", "secretfile=/etc/ceph/user.secret"],
    }],
    [cephFsKind.mount(ceph({ user: "web", path: "data", secretRef: { name: "key", namespace: "shop" } })), {
      type: "ceph",
      source: "a:6789,b:6789:/data",
      options: ["name=web"],
      secret: { reference: { name: "key", namespace: "shop" }, option: "secretfile" },
    }],
    [glusterKind.mount(gluster("g1", "vol")), { type: "glusterfs", source: "g1:vol", options: ["log-level=ERROR"] }],
    [glusterKind.mount(gluster("g1, g2,g3", "/vol/sub")), {
      type: "glusterfs",
      source: "g1:vol/sub",
      options: ["log-level=ERROR", "backup-volfile-servers=g2:g3"],
    }],
  ];
  for (const [mount, expected] of table) assertEquals(mount, expected);
});

/** A mounter that only listens. `answer` throws what an unmount is to fail with. */
function listeningMounter(answer: (options: UnmountOptions) => void = () => {}) {
  const mounts: Mount[] = [], secrets: string[] = [], unmounts: string[] = [];
  const mounter: Mounter = {
    name: "command",
    mount(list) {
      mounts.push(...list);
      for (const option of list.flatMap(({ options }) => options)) {
        const path = /^secretfile=(\/proc\/.*)$/.exec(option)?.[1];
        if (path !== undefined) secrets.push(Deno.readTextFileSync(path));
      }
      return Promise.resolve();
    },
    unmount(targets, options) {
      unmounts.push([...targets, options.force && "force", options.lazy && "lazy"].filter(Boolean).join(" "));
      try {
        answer(options);
        return Promise.resolve();
      } catch (error) {
        return Promise.reject(error);
      }
    },
  };
  return { mounter, mounts, secrets, unmounts };
}

libcTest("a secret reaches mount(8) in a file in memory that is gone afterwards", async () => {
  await using stage = await PluginStage.open();
  await using _programs = await withPrograms({ "mount.ceph": "exit 1" });
  stage.apply("Secret", "ceph", { data: { key: new TextEncoder().encode("AQB=\n").toBase64() } });
  const { mounter, mounts, secrets } = listeningMounter();
  const context = { ...stage, objects: stage.lookup, layout: stage.layout, engine: stage.engine, mounter };
  const plugin = new NetworkFilePlugin(context, cephFsKind);
  const volume = spec({ cephfs: { monitors: ["m"], secretRef: { name: "ceph", namespace: "shop" } } });
  const operation = testOperation();
  await plugin.deviceMounter.mountDevice({ spec: volume, path: "/nowhere/mount" }, operation);
  assertEquals([mounts[0]!.source, mounts[0]!.target, secrets], ["m:/", "/nowhere/mount", ["AQB="]]);
  assertEquals(JSON.stringify(mounts).includes("AQB"), false);
  const path = mounts[0]!.options.at(-1)!.slice("secretfile=".length);
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  stage.objects.clear();
  const request = { spec: volume, path: "/nowhere/mount" };
  const missing = await assertRejects(() => plugin.deviceMounter.mountDevice(request, operation), LaminaError);
  assertEquals([missing.code, missing.message], [
    "NOT_FOUND",
    'Cannot use the volume "share": Secret shop/ceph does not exist. Apply it',
  ]);
});

Deno.test("a missing helper of mount(8) is named with its package", async () => {
  await using stage = await PluginStage.open();
  await using _programs = await withPrograms({}, { only: true });
  const wanted = [
    [spec({ nfs: { server: "nas", path: "/a" } }), "mount.nfs is not installed. Install the package nfs-common"],
    [spec({ cephfs: { monitors: ["m"] } }), "mount.ceph is not installed. Install the package ceph-common"],
    [
      spec({ glusterfs: { endpoints: "g", path: "v" } }),
      "mount.glusterfs is not installed. Install the package glusterfs-",
    ],
  ] as const;
  for (const [volume, message] of wanted) {
    const { deviceMounter } = stage.plugin(volume);
    const request = { spec: volume, path: join(stage.layout.root, "mount") };
    // Debian's own directories are looked in besides the path.
    const installed = await Deno.stat(`/sbin/${message.split(" ", 1)[0]}`).then(() => true, () => false);
    if (installed) continue;
    const error = await assertRejects(() => deviceMounter!.mountDevice(request, stage.operation), LaminaError, message);
    assertEquals(error.code, "UNSUPPORTED");
  }
});

Deno.test("uses of one export with the same options share its mount, others do not", async () => {
  await using stage = await PluginStage.open();
  const id = (volume: VolumeSpec) => stage.plugin(volume).volumeId(volume, stage.workload);
  const nfs = { nfs: { server: "nas", path: "/a" } };
  assertEquals(id(spec(nfs)), id(spec(nfs, { name: "other", read_only: true })));
  const different = [
    spec({ nfs: { server: "nas", path: "/b" } }),
    spec({ nfs: { server: "nas", path: "/a", readOnly: true } }),
    spec(nfs, { mount_options: ["soft"] }),
  ];
  for (const volume of different) assertEquals(id(volume) === id(spec(nfs)), false);
  const bind = await stage.plugin(spec(nfs)).setUp({
    spec: spec(nfs, { read_only: true }),
    workload: stage.workload,
    path: "/p",
    deviceMountPath: "/d",
    objects: stage.lookup,
  }, stage.operation);
  assertEquals(bind, [{ type: "bind", source: "/d", target: "", options: ["bind", "ro"] }]);
});

Deno.test("a server that does not answer is given up in steps, one that is in use is not", async () => {
  const silent = new LaminaError("DEADLINE_EXCEEDED", "umount did not end");
  const hangs = "umount -l /m";
  const table: Array<[force: boolean, answer: (options: UnmountOptions) => void, tried: string[], told: string]> = [
    [false, () => {}, ["/m"], ""],
    [false, ({ force }) => throwUnless(force, silent), ["/m", "/m force"], ""],
    [false, ({ lazy }) => throwUnless(lazy, silent), ["/m", "/m force"], hangs],
    [true, () => {}, ["/m"], ""],
    [true, ({ lazy }) => throwUnless(lazy, silent), ["/m", "/m force", "/m force lazy"], ""],
    [true, () => throwUnless(false, silent), ["/m", "/m force", "/m force lazy"], hangs],
    [true, () => throwUnless(false, new LaminaError("CONFLICT", "busy")), ["/m"], "busy"],
  ];
  for (const [force, answer, tried, told] of table) {
    const { mounter, unmounts } = listeningMounter(answer);
    const failure = await unmountNetwork("/m", mounter, testOperation(), { force }).then(() => "", messageOf);
    assertEquals(unmounts, tried);
    assert(failure.includes(told) && (failure === "") === (told === ""), failure);
  }
});

function throwUnless(fine: boolean | undefined, error: Error): void {
  if (!fine) throw error;
}
