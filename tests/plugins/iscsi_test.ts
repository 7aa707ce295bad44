import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { dirname, join } from "@std/path/posix";
import { NetworkBlockPlugin } from "../../drivers/volume/network/block_plugin.ts";
import { completePortal, isRecordOf, withChap } from "../../drivers/volume/network/iscsi/iscsi_commands.ts";
import { IscsiKind } from "../../drivers/volume/network/iscsi/iscsi_kind.ts";
import type { VolumeSpec } from "../../drivers/volume/port.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { iscsiDisks, multipathOf } from "../../runtime/host/iscsi_disks.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { modeOf, PluginStage } from "./stage.ts";
import { withPrograms } from "./support/programs.ts";

const IQN = "iqn.2001-04.com.example:storage";

Deno.test("portals get their port, records their secrets", () => {
  assertEquals(["10.0.0.1", "nas:3261", "fd00::1", "[fd00::1]", "[fd00::1]:1"].map(completePortal), [
    "10.0.0.1:3260",
    "nas:3261",
    "[fd00::1]:3260",
    "[fd00::1]:3260",
    "[fd00::1]:1",
  ]);
  const names = ["10.0.0.1,3260", "10.0.0.1,3260,1", "10.0.0.1,3261", "10.0.0.11,3260", "fd00::1,3260,-1"];
  assertEquals(names.map((name) => isRecordOf(name, "10.0.0.1:3260")), [true, true, false, false, false]);
  assertEquals(isRecordOf("fd00::1,3260,-1", "[fd00::1]:3260"), true);
  const text = "# BEGIN RECORD 2.1\nnode.name = x\nnode.session.auth.authmethod = None\n# END RECORD\n";
  const secrets = new Map([["node.session.auth.username", "me"], ["node.session.auth.password", "p w"], [
    "other",
    "x",
  ]]);
  const expected = "# BEGIN RECORD 2.1\nnode.name = x\nnode.session.auth.authmethod = CHAP\n" +
    "node.session.auth.username = me\nnode.session.auth.password = p w\n# END RECORD\n";
  assertEquals(withChap(text, secrets), expected);
  assertEquals(withChap(expected, secrets), expected);
  assertThrows(() => withChap(text, new Map()), LaminaError, "it needs the key node.session.auth.username");
  const broken = new Map([...secrets, ["node.session.auth.password", "a\nnode.x = y"]]);
  assertThrows(() => withChap(text, broken), LaminaError, "node.session.auth.password has a line break");
});

/** A disk in a tree like sysfs. */
async function addDisk(sysfs: string, session: number, lun: number, name: string): Promise<void> {
  const device = join(sysfs, "class/iscsi_session", `session${session}`);
  await Deno.mkdir(join(device, "device", `target${session}:0:0`, `${session}:0:0:${lun}`, "block", name), {
    recursive: true,
  });
  await Deno.writeTextFile(join(device, "targetname"), `${IQN}\n`);
  await Deno.mkdir(join(sysfs, "block", name, "holders"), { recursive: true });
}

Deno.test("the disks of a target are found by session and number, and the multipath device above them", async () => {
  await using scratch = await scratchDirectory();
  const sysfs = scratch.path;
  assertEquals(iscsiDisks(IQN, sysfs), []);
  await addDisk(sysfs, 1, 0, "sdb");
  await addDisk(sysfs, 1, 7, "sdc");
  await addDisk(sysfs, 2, 7, "sdd");
  assertEquals(iscsiDisks(IQN, sysfs), [
    { session: "session1", lun: 0, name: "sdb" },
    { session: "session1", lun: 7, name: "sdc" },
    { session: "session2", lun: 7, name: "sdd" },
  ]);
  assertEquals(iscsiDisks(`${IQN}.other`, sysfs), []);
  assertEquals(multipathOf(["sdc", "sdd"], sysfs), undefined);
  await Deno.mkdir(join(sysfs, "block/sdd/holders/dm-3"));
  await Deno.mkdir(join(sysfs, "block/dm-3/dm"), { recursive: true });
  await Deno.writeTextFile(join(sysfs, "block/dm-3/dm/uuid"), "LVM-x\n");
  assertEquals(multipathOf(["sdc", "sdd"], sysfs), undefined);
  await Deno.writeTextFile(join(sysfs, "block/dm-3/dm/uuid"), "mpath-x\n");
  assertEquals(multipathOf(["sdc", "sdd"], sysfs), "/dev/dm-3");
});

/** A target whose disk 3 is a loop device, and an iscsiadm that lets it appear in a tree like sysfs. */
async function targetStage(script = "") {
  const stage = await PluginStage.open();
  const image = join(stage.layout.root, "image"), sysfs = join(stage.layout.root, "sys");
  const records = join(stage.layout.root, "nodes");
  await commandOutput("truncate", ["-s", "64M", image]);
  const loop = (await commandOutput("losetup", ["-f", "--show", image])).trim();
  const disk = loop.slice("/dev/".length);
  const session = join(sysfs, "class/iscsi_session/session1");
  const programs = await withPrograms({
    iscsiadm: `${script}
case "$*" in
  *"-o new"*)
    mkdir -p "${records}/${IQN}/10.0.0.1,3260,1"
    echo "node.startup = automatic" > "${records}/${IQN}/10.0.0.1,3260,1/default" ;;
  *--login*)
    [ -e "${session}/targetname" ] && exit 15
    mkdir -p "${session}/device/target1:0:0/1:0:0:3/block/${disk}" "${sysfs}/block/${disk}/device"
    echo "${IQN}" > "${session}/targetname"; : > "${sysfs}/block/${disk}/device/delete" ;;
  *--logout*) [ -e "${session}" ] || exit 21; rm -r "${session}" ;;
esac`,
  });
  const context = { mounter: stage.mounter, layout: stage.layout, engine: stage.engine, objects: stage.lookup };
  return {
    stage,
    programs,
    loop,
    sysfs,
    records,
    /** That of another process. */
    plugin: () => new NetworkBlockPlugin(context, new IscsiKind(context, { records, sysfs })),
    async [Symbol.asyncDispose]() {
      await programs[Symbol.asyncDispose]();
      await commandOutput("losetup", ["-d", loop]);
      await stage[Symbol.asyncDispose]();
    },
  };
}

function iscsi(stage: PluginStage, more: Record<string, unknown> = {}, spec: Partial<VolumeSpec> = {}): VolumeSpec {
  return stage.spec("disk", { iscsi: { targetPortal: "10.0.0.1", iqn: IQN, lun: 3, ...more } }, spec);
}

const NODE = `iscsiadm -m node -T ${IQN} -p 10.0.0.1:3260 -I default`;

rootTest("a disk is attached, formatted, mounted for all, and detached by what its id alone says", async () => {
  await using target = await targetStage();
  const { stage, programs } = target;
  const spec = iscsi(stage);
  const plugin = target.plugin();
  const path = join(stage.layout.root, "mount");
  await Deno.mkdir(path);
  const devicePath = await plugin.attacher.attach(spec, stage.operation);
  assertEquals(devicePath, target.loop);
  assertEquals(await programs.calls(), [
    `${NODE} -o new`,
    `${NODE} -o update -n node.startup -v manual`,
    `${NODE} --login`,
  ]);
  // Again: the session exists, and may have got new disks.
  assertEquals(await plugin.attacher.attach(spec, stage.operation), target.loop);
  assertEquals((await programs.calls()).slice(5), [`${NODE} --login`, `${NODE} --rescan`]);
  await plugin.deviceMounter.mountDevice({ spec, path, devicePath }, stage.operation);
  assertEquals(mountAtTarget(readMountTable(), path)?.source, target.loop);
  const before = (await programs.calls()).length;
  await plugin.deviceMounter.unmountDevice({ volumeId: plugin.volumeId(spec), path }, stage.operation);
  await target.plugin().attacher.detach(plugin.volumeId(spec), devicePath, stage.operation);
  assertEquals((await programs.calls()).slice(before), [`${NODE} --logout`, `${NODE} -o delete`]);
  const written = join(target.sysfs, "block", target.loop.slice(5), "device/delete");
  assertEquals(await Deno.readTextFile(written), "1");
  await target.plugin().attacher.detach(plugin.volumeId(spec), devicePath, stage.operation);
});

rootTest("a disk of a target that has others in use is given back without a logout", async () => {
  await using target = await targetStage();
  const { stage, programs } = target;
  const plugin = target.plugin();
  const spec = iscsi(stage);
  const device = await plugin.attacher.attach(spec, stage.operation);
  await addDisk(target.sysfs, 1, 4, target.loop.slice(5));
  await plugin.attacher.attach(iscsi(stage, { lun: 4 }), stage.operation);
  const before = (await programs.calls()).length;
  await plugin.attacher.detach(plugin.volumeId(spec), device, stage.operation);
  assertEquals((await programs.calls()).length, before);
});

rootTest("a password for CHAP is written into the record, for root alone, and is no argument", async () => {
  await using target = await targetStage();
  const { stage, programs } = target;
  const base64 = (text: string) => new TextEncoder().encode(text).toBase64();
  const data = { "node.session.auth.username": base64("me"), "node.session.auth.password": base64("hunter2") };
  stage.apply("Secret", "chap", { data });
  const spec = iscsi(stage, { chapAuthSession: true, secretRef: { name: "chap", namespace: "shop" } });
  await target.plugin().attacher.attach(spec, stage.operation);
  const record = join(target.records, IQN, "10.0.0.1,3260,1/default");
  assertEquals(
    await Deno.readTextFile(record),
    [
      "node.startup = automatic",
      "",
      "node.session.auth.authmethod = CHAP",
      "node.session.auth.username = me",
      "node.session.auth.password = hunter2",
    ].join("\n"),
  );
  assertEquals([await modeOf(record), (await programs.calls()).join().includes("hunter2")], [0o600, false]);
});

rootTest("a portal that does not answer is passed over; when none does, each is told", async () => {
  const down = 'case "$*" in *10.0.0.9*--login*) echo "connect timed out" >&2; exit 8 ;; esac';
  await using target = await targetStage(down);
  const { stage } = target;
  const both = iscsi(stage, { targetPortal: "10.0.0.9", portals: ["10.0.0.1"] });
  assertEquals(await target.plugin().attacher.attach(both, stage.operation), target.loop);
  const none = iscsi(stage, { targetPortal: "10.0.0.9" });
  const error = await assertRejects(() => target.plugin().attacher.attach(none, stage.operation), LaminaError);
  assertEquals([error.code, error.message], [
    "UNAVAILABLE",
    `Cannot log in to ${IQN}: 10.0.0.9:3260: iscsiadm failed with status 8: connect timed out`,
  ]);
});

rootTest("raw volumes show the device, but never read-only", async () => {
  await using target = await targetStage();
  const { stage } = target;
  const plugin = target.plugin();
  const raw = iscsi(stage, {}, { volume_mode: "Block" });
  const devicePath = await plugin.attacher.attach(raw, stage.operation);
  const request = {
    spec: raw,
    workload: stage.workload,
    path: join(dirname(target.sysfs), "raw"),
    objects: stage.lookup,
  };
  assertEquals(await plugin.setUp({ ...request, devicePath }), [
    { type: "bind", source: target.loop, target: "", options: ["bind"] },
  ]);
  const reader = { ...request, spec: { ...raw, read_only: true }, devicePath };
  await assertRejects(() => plugin.setUp(reader), LaminaError, "cannot be read-only");
});
