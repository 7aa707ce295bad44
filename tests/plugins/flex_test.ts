import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { parseFlexAnswer } from "../../drivers/volume/flex/flex_answer.ts";
import type { VolumeSpec } from "../../drivers/volume/port.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { loopsOf } from "../../runtime/host/block_devices.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest } from "../support/scratch.ts";
import { namesIn, PluginStage } from "./stage.ts";

/** Binds the directory of its option `source`; knows nothing of devices. */
const BINDING = `#!/bin/sh
echo "$*" >> "$(dirname "$0")/log"
case "$1" in
  init) echo '{"status":"Success","capabilities":{"attach":false}}' ;;
  mount)
    source=$(echo "$3" | sed 's/.*"source":"\\([^"]*\\)".*/\\1/')
    if mount --bind "$source" "$2"; then echo '{"status":"Success"}'
    else echo '{"status":"Failure","message":"no such share"}'; fi ;;
  unmount) umount "$2" 2>/dev/null; echo '{"status":"Success"}' ;;
  *) echo '{"status":"Not supported"}'; exit 1 ;;
esac
`;

/** Makes a loop device of its option \`image\`; the rest is left to its caller. */
const ATTACHING = `#!/bin/sh
echo "$*" >> "$(dirname "$0")/log"
case "$1" in
  init) echo '{"status":"Success"}' ;;
  attach)
    image=$(echo "$2" | sed 's/.*"image":"\\([^"]*\\)".*/\\1/')
    device=$(losetup -j "$image" | cut -d: -f1)
    [ -n "$device" ] || device=$(losetup -f --show "$image")
    echo "{\\"status\\":\\"Success\\",\\"device\\":\\"$device\\"}" ;;
  waitforattach) echo "{\\"status\\":\\"Success\\",\\"device\\":\\"$2\\"}" ;;
  detach) losetup -d "$2" 2>/dev/null; echo '{"status":"Success"}' ;;
  *) echo '{"status":"Not supported"}'; exit 1 ;;
esac
`;

async function install(stage: PluginStage, name: string, script: string): Promise<string> {
  const directory = join(stage.flexDirectory, `acme~${name}`);
  await Deno.mkdir(directory, { recursive: true });
  await Deno.writeTextFile(join(directory, name), script, { mode: 0o755 });
  return join(directory, "log");
}

async function calls(log: string): Promise<string[]> {
  return (await Deno.readTextFile(log)).trim().split("\n").map((line) => line.split(" ", 1)[0]!);
}

function flex(stage: PluginStage, name: string, options: Record<string, string>, more: Partial<VolumeSpec> = {}) {
  return stage.spec("share", { flexVolume: { driver: `acme/${name}`, options } }, more);
}

rootTest("a driver that only mounts is asked to mount and unmount, with the pod in its options", async () => {
  await using stage = await PluginStage.open();
  const log = await install(stage, "binding", BINDING);
  const source = join(stage.layout.root, "source");
  await Deno.mkdir(source);
  const spec = flex(stage, "binding", { source });
  const path = await stage.setUp(spec, { ...await stage.mountDevice(spec), fsGroup: 2000 });
  await stage.setUp(spec);
  await Deno.writeTextFile(join(path, "file"), "");
  assertEquals(await namesIn(source), ["file"]);
  assertEquals(await calls(log), ["init", "mount"]);
  const [, , json] = (await Deno.readTextFile(log)).trim().split("\n")[1]!.split(" ");
  assertEquals(JSON.parse(json!), {
    "kubernetes.io/fsType": "",
    "kubernetes.io/readwrite": "rw",
    "kubernetes.io/pvOrVolumeName": "share",
    "kubernetes.io/pod.name": "web",
    "kubernetes.io/pod.namespace": "shop",
    "kubernetes.io/pod.uid": stage.workload.uid,
    "kubernetes.io/mounterArgs.FsGroup": "2000",
    source,
  });
  // Another process takes it down: the driver is remembered.
  await stage.restart();
  assertEquals(await stage.tearDown(spec), "nothing");
  await stage.unmountDevice(spec);
  assertEquals((await calls(log)).slice(2), ["init", "unmount"]);
  assertEquals([await namesIn(source), await namesIn(join(stage.layout.root, "flexvolumes"))], [["file"], []]);
});

rootTest("a driver that only attaches has its device formatted, mounted and bound as usual", async () => {
  await using stage = await PluginStage.open();
  const log = await install(stage, "attaching", ATTACHING);
  const image = join(stage.layout.root, "image");
  await commandOutput("truncate", ["-s", "64M", image]);
  const spec = flex(stage, "attaching", { image });
  const device = await stage.mountDevice(spec);
  assertEquals([device.devicePath], loopsOf(image));
  const path = await stage.setUp(spec, device);
  const mounted = mountAtTarget(readMountTable(), path)!;
  assertEquals([mounted.type, mounted.source], ["ext4", device.devicePath]);
  assertEquals(await calls(log), ["init", "attach", "waitforattach", "mountdevice", "mount"]);
  await stage.tearDown(spec);
  await stage.unmountDevice(spec, device.devicePath);
  assertEquals((await calls(log)).slice(5), ["unmount", "unmountdevice", "detach"]);
  assertEquals(loopsOf(image), []);
});

rootTest("a driver that fails, is missing, or wants secrets is told by name", async () => {
  await using stage = await PluginStage.open();
  await install(stage, "binding", BINDING);
  const spec = flex(stage, "binding", { source: "/nowhere" });
  const failed = await assertRejects(() => stage.setUp(spec), LaminaError);
  assertEquals(failed.message, "The FlexVolume driver acme/binding failed at mount: no such share");
  assertEquals(await stage.tearDown(spec), "nothing");
  const missing = await assertRejects(() => stage.setUp(flex(stage, "none", {})), LaminaError);
  assertEquals([missing.code, missing.message.includes("acme~none/none does not exist. Install it")], [
    "NOT_FOUND",
    true,
  ]);
  const secret = stage.spec("share", { flexVolume: { driver: "acme/binding", secretRef: { name: "keys" } } });
  const refused = await assertRejects(() => stage.mountDevice(secret), LaminaError, "Remove secretRef");
  assertEquals(refused.code, "UNSUPPORTED");
});

rootTest("a driver that neither mounts nor attaches is refused", async () => {
  await using stage = await PluginStage.open();
  await install(
    stage,
    "useless",
    `#!/bin/sh\n[ "$1" = init ] && echo '{"status":"Success"}' || echo '{"status":"Not supported"}'\n`,
  );
  const spec = flex(stage, "useless", {});
  const device = await stage.mountDevice(spec);
  await assertRejects(() => stage.setUp(spec, device), LaminaError, "supports neither mount nor attach");
});

Deno.test("volumes of equal options share their device, others do not", async () => {
  await using stage = await PluginStage.open();
  const id = (spec: VolumeSpec) => stage.plugin(spec).volumeId(spec, stage.workload);
  const one = flex(stage, "x", { a: "1", b: "2" });
  assertEquals(id(one), id(flex(stage, "x", { b: "2", a: "1" }, { name: "other" })));
  assertEquals(id(one) === id(flex(stage, "x", { a: "1" })), false);
  assertEquals(id(one) === id(flex(stage, "y", { a: "1", b: "2" })), false);
  const persistent_volume = { name: "pv-1", uid: "u", capacity_bytes: 1 };
  assertEquals(id({ ...one, persistent_volume }), "acme/x/pv-1");
});

Deno.test("what a driver says is an answer or a failure that quotes it", () => {
  const parse = (stdout: string, code = 0, stderr = "") => {
    try {
      return parseFlexAnswer("acme/x", "mount", { code, stdout, stderr })?.status;
    } catch (error) {
      return (error as Error).message.replace("The FlexVolume driver acme/x failed at mount: ", "");
    }
  };
  assertEquals(parse('{"status":"Success"}\n'), "Success");
  assertEquals(parse('{"status":"Not supported"}', 1), undefined);
  assertEquals(parse('{"status":"Failure","message":"disk is gone"}', 1), "disk is gone");
  assertEquals(parse('{"status":"Failure"}', 1), "it gives no reason");
  assertEquals(
    parse("", 127, "sh: not found"),
    "it ended with status 127 and gave no valid answer. It said: sh: not found",
  );
  assertEquals(
    parse('{"status":"Done"}'),
    'it ended with status 0 and gave no valid answer. It said: {"status":"Done"}',
  );
  assertEquals(parse("[]", 0), "it ended with status 0 and gave no valid answer. It said: []");
});
