import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { mapArguments, mappedDevice } from "../../drivers/volume/network/rbd_kind.ts";
import type { VolumeSpec } from "../../drivers/volume/port.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { PluginStage } from "./stage.ts";
import { withPrograms } from "./support/programs.ts";
import { libcTest } from "../support/scratch.ts";

const source = {
  monitors: ["a:6789", "b:6789"],
  image: "disk",
  pool: "shop",
  user: "web",
  keyring: "/etc/ceph/keyring",
  readOnly: false,
};
const START = ["device", "map", "shop/disk", "--id", "web", "-m", "a:6789,b:6789"];

Deno.test("rbd is told the image, the monitors, and where the key is", () => {
  assertEquals(mapArguments(source, undefined, false), [...START, "--keyring", "/etc/ceph/keyring"]);
  assertEquals(mapArguments(source, "/proc/1/fd/3", true), [...START, "--keyfile", "/proc/1/fd/3", "--read-only"]);
});

Deno.test("a mapped image is found by pool and name, not by those of snapshots or namespaces", () => {
  const list = [
    { id: "0", pool: "shop", namespace: "", name: "disk", snap: "old", device: "/dev/rbd0" },
    { id: "1", pool: "other", namespace: "", name: "disk", snap: "-", device: "/dev/rbd1" },
    { id: "2", pool: "shop", namespace: "blue", name: "disk", snap: "-", device: "/dev/rbd2" },
    { id: "3", pool: "shop", namespace: "", name: "disk", snap: "-", device: "/dev/rbd3" },
  ];
  assertEquals(mappedDevice(JSON.stringify(list), "shop", "disk"), "/dev/rbd3");
  assertEquals(mappedDevice(JSON.stringify(list.slice(0, 3)), "shop", "disk"), undefined);
  assertEquals(mappedDevice("[]", "shop", "disk"), undefined);
  assertThrows(() => mappedDevice("no", "shop", "disk"), LaminaError, "no list of devices");
});

libcTest("an image is mapped once, its key is no argument, and it is unmapped by what the kernel says", async () => {
  await using stage = await PluginStage.open();
  await using programs = await withPrograms({
    rbd: `case "$2" in
  list) cat "$here/list" 2>/dev/null || echo "[]" ;;
  map)
    while [ "$1" != --keyfile ]; do shift; done; cp "$2" "$here/key"
    echo '[{"pool":"shop","namespace":"","name":"disk","snap":"-","device":"/dev/rbd5"}]' > "$here/list"
    echo /dev/rbd5 ;;
  unmap) rm "$here/list" ;;
esac`,
  });
  stage.apply("Secret", "ceph", { data: { key: new TextEncoder().encode("AQB=").toBase64() } });
  const spec: VolumeSpec = stage.spec("disk", { rbd: { ...source, secretRef: { name: "ceph", namespace: "shop" } } });
  const { attacher, volumeId } = stage.plugin(spec);
  const id = volumeId.call(stage.plugin(spec), spec, stage.workload);
  assertEquals(await attacher!.attach(spec, stage.operation), "/dev/rbd5");
  assertEquals(await attacher!.attach(spec, stage.operation), "/dev/rbd5");
  await stage.restart();
  await stage.plugin(spec).attacher!.detach(id, "/dev/rbd4", stage.operation);
  await stage.plugin(spec).attacher!.detach(id, "/dev/rbd4", stage.operation);
  assertEquals((await programs.calls()).map((line) => line.replace(/\/proc\/\d+\/fd\/\d+/, "FILE")), [
    "rbd device list --format json",
    "rbd device map shop/disk --id web -m a:6789,b:6789 --keyfile FILE",
    "rbd device list --format json",
    "rbd device list --format json",
    "rbd device unmap /dev/rbd5",
    "rbd device list --format json",
  ]);
  assertEquals(await Deno.readTextFile(`${programs.directory}/key`), "AQB=");
});

Deno.test("what rbd says of a failure is told", async () => {
  await using stage = await PluginStage.open();
  await using _programs = await withPrograms({ rbd: 'echo "rbd: sysfs write failed" >&2; exit 110' });
  const spec: VolumeSpec = stage.spec("disk", { rbd: source });
  const error = await assertRejects(() => stage.plugin(spec).attacher!.attach(spec, stage.operation), LaminaError);
  assertEquals([error.code, error.message], ["UNAVAILABLE", "rbd device list failed: rbd: sysfs write failed"]);
});
