import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { mountAtTarget, mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest } from "../support/scratch.ts";
import { eventually, RealManager, volume } from "./support/real_manager.ts";

function mountedIn(test: RealManager): string[] {
  return mountsBelow(readMountTable(), test.layout.root).map(({ target }) => target.replace(test.layout.root, "ROOT"));
}

async function rows(test: RealManager): Promise<number> {
  // Behind whatever is on its way.
  await test.store.write(() => {});
  const { n } = test.store.get<{ n: number }>(
    "SELECT (SELECT count(*) FROM workload_volumes) + (SELECT count(*) FROM volume_devices) AS n",
  )!;
  return n;
}

rootTest("all volumes of a pod come up in one batch, and nothing is left when it goes", async () => {
  await using test = await RealManager.open();
  const data = test.hostDirectory("data");
  test.manager.desiredIsComplete();
  const paths = await test.up("one", [
    volume("data", { bind: data }),
    volume("single", { bind: join(data, "file") }),
    volume("memory", { tmpfs: "m" }),
    volume("text", { file: "hello" }),
  ]);
  assertEquals(test.mounts.length, 1);
  assertEquals(test.mounts[0]!.length, 3);
  assertEquals(paths.get("data"), `${test.layout.root}/pods/one/volumes/test~bind/data`);
  assertEquals(Deno.readTextFileSync(join(paths.get("data")!, "file")), "data\n");
  assertEquals(Deno.readTextFileSync(paths.get("single")!), "data\n");
  assertEquals(Deno.readTextFileSync(join(paths.get("text")!, "file")), "hello");
  Deno.writeTextFileSync(join(paths.get("memory")!, "new"), "x");
  assertEquals(await rows(test), 4);
  assertEquals(test.manager.volumes().map(({ state }) => state), ["Mounted", "Mounted", "Mounted", "Mounted"]);
  await test.down("one");
  assertEquals(mountedIn(test), []);
  assertEquals([...Deno.readDirSync(test.layout.pods)], []);
  assertEquals(await rows(test), 0);
  assertEquals(Deno.readTextFileSync(join(data, "file")), "data\n");
});

rootTest("a device is mounted once for two pods, and goes with the last", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const [one, two] = await Promise.all([
    test.up("one", [volume("v", { device: "d" })]),
    test.up("two", [volume("v", { device: "d" }, { read_only: true })]),
  ]);
  Deno.writeTextFileSync(join(one.get("v")!, "shared"), "yes");
  assertEquals(Deno.readTextFileSync(join(two.get("v")!, "shared")), "yes");
  assertEquals(mountedIn(test).length, 3);
  await test.down("one");
  assertEquals(Deno.readTextFileSync(join(two.get("v")!, "shared")), "yes");
  assertEquals(mountedIn(test).length, 2);
  await test.down("two");
  assertEquals(mountedIn(test), []);
  assertEquals([...Deno.readDirSync(test.layout.plugins)], []);
  assertEquals(await rows(test), 0);
});

rootTest("what somebody unmounts is mounted again", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const paths = await test.up("one", [volume("memory", { tmpfs: "m" }), volume("v", { device: "d" })]);
  await eventually("the mounts are noted", () => {
    return test.store.get<{ n: number }>("SELECT sum(proved) AS n FROM workload_volumes")!.n === 2;
  });
  for (const path of paths.values()) {
    await runCommand("umount", [path]);
    await eventually(`${path} is mounted again`, () => mountAtTarget(readMountTable(), path) !== undefined);
  }
  const device = mountedIn(test).find((path) => path.startsWith("ROOT/plugins"))!.replace("ROOT", test.layout.root);
  await runCommand("umount", [device]);
  await eventually("the device is mounted again", () => mountAtTarget(readMountTable(), device) !== undefined);
  assert(test.events.filter(({ reason }) => reason === "MountLost").length >= 2);
});

rootTest(
  "a source that is deleted on the host is told once, and its volume can be taken down, also after a restart",
  async () => {
    await using test = await RealManager.open();
    test.manager.desiredIsComplete();
    const source = test.hostDirectory("source"), other = test.hostDirectory("other");
    await test.up("one", [volume("v", { bind: source })]);
    await eventually("the mount is noted", () => {
      return test.store.get<{ n: number }>("SELECT sum(proved) AS n FROM workload_volumes")!.n === 1;
    });
    Deno.removeSync(source, { recursive: true });
    const told = () => test.events.filter(({ reason }) => reason === "VolumeSourceGone").length;
    // Each of these changes the table, and so calls for a look.
    for (let life = 0; life < 3; life++) {
      await test.up("two", [volume("v", { bind: other })]);
      await eventually("it is told", () => told() > 0);
      await test.down("two");
    }
    assertEquals(told(), 1);
    assertEquals(test.events.filter(({ reason }) => reason === "MountLost"), []);
    assertEquals(test.manager.volumes().map(({ state }) => state), ["Mounted"]);
    await test.restart();
    test.manager.desiredIsComplete();
    await eventually("nothing is left", () => mountedIn(test).length === 0);
    await eventually("no row either", () => test.manager.volumes().length === 0);
  },
);

rootTest("somebody else's mount in the place of ours is named, and neither covered nor torn down", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const path = test.layout.workloadVolume("one", "test/tmpfs", "memory");
  Deno.mkdirSync(path, { recursive: true });
  await runCommand("mount", ["-t", "tmpfs", "strange", path]);
  test.manager.desire({ workload: podOf("one"), volumes: [volume("memory", { tmpfs: "m" })] });
  await eventually("the failure is told", () => test.manager.volumes()[0]?.last_error !== undefined);
  assertStringIncludes(test.manager.volumes()[0]!.last_error!, "somebody else has mounted tmpfs of strange there");
  assertEquals(mountedIn(test).length, 1);
  await runCommand("umount", [path]);
  await test.manager.ready("one", { signal: AbortSignal.timeout(60_000), progress: () => {} });
  assertEquals(mountAtTarget(readMountTable(), path)!.source, "test-m");
});

rootTest("a mount over ours is left alone, and ours is back when it is gone", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const paths = await test.up("one", [volume("memory", { tmpfs: "m" })]);
  const path = paths.get("memory")!;
  Deno.writeTextFileSync(join(path, "kept"), "x");
  await eventually(
    "noted",
    () => test.store.get<{ n: number }>("SELECT sum(proved) AS n FROM workload_volumes")!.n === 1,
  );
  await runCommand("mount", ["-t", "tmpfs", "strange", path]);
  await eventually("seen", () => test.manager.volumes()[0]!.last_error !== undefined);
  test.manager.release("one");
  const error = await assertRejects(
    () => test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} }, { failFast: true }),
    LaminaError,
    "somebody else has mounted",
  );
  assertEquals(error.code, "CONFLICT");
  test.manager.desire({ workload: podOf("one"), volumes: [volume("memory", { tmpfs: "m" })] });
  await runCommand("umount", [path]);
  await test.manager.ready("one", { signal: AbortSignal.timeout(60_000), progress: () => {} });
  assertEquals(Deno.readTextFileSync(join(path, "kept")), "x");
});

rootTest("a busy volume is not torn down; it goes when its user does", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const path = (await test.up("one", [volume("memory", { tmpfs: "m" })])).get("memory")!;
  const file = Deno.openSync(join(path, "open"), { write: true, create: true });
  test.manager.release("one");
  const error = await assertRejects(
    () => test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} }, { failFast: true }),
    LaminaError,
    "in use",
  );
  assertEquals(error.code, "CONFLICT");
  assertEquals(test.manager.operations()[0]!.name, "volume_unmount");
  file.close();
  await test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} });
  assertEquals(mountedIn(test), []);
});

rootTest("what others put in the way of the clean-up is named, and stays", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const path = (await test.up("one", [volume("text", { file: "x" })])).get("text")!;
  Deno.writeTextFileSync(join(path, "precious"), "mine");
  test.manager.release("one");
  await assertRejects(
    () => test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} }, { failFast: true }),
    LaminaError,
    'it holds "precious"',
  );
  assertEquals(Deno.readTextFileSync(join(path, "precious")), "mine");
  Deno.removeSync(join(path, "precious"));
  await test.manager.gone("one", { signal: AbortSignal.timeout(60_000), progress: () => {} });
});

rootTest("files of a volume get the fsGroup", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const path = (await test.up("one", [{ ...volume("memory", { tmpfs: "m" }), fsGroup: 4242 }])).get("memory")!;
  const { gid, mode } = Deno.statSync(path);
  assertEquals([gid, mode! & 0o2070], [4242, 0o2070]);
});

rootTest("one volume of a pod that cannot be mounted keeps none of the others", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const good = test.hostDirectory("good");
  const volumes = [
    volume("good", { bind: good }),
    volume("bad", { bind: "/nowhere/at/all" }),
    volume("m", { tmpfs: "m" }),
  ];
  test.manager.desire({ workload: podOf("one"), volumes });
  const error = await assertRejects(
    () => test.manager.ready("one", { signal: AbortSignal.timeout(60_000), progress: () => {} }, { failFast: true }),
    LaminaError,
    "/nowhere/at/all",
  );
  assertEquals(error.code, "NOT_FOUND");
  await eventually("the others are up", () => mountedIn(test).length === 2);
  assertEquals(test.events.find(({ reason }) => reason === "FailedMount")?.workload.uid, "one");
});

rootTest("an object that changes reaches a running pod; one that disappears does no harm", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const key = { kind: "ConfigMap", namespace: "default", name: "c" };
  const wanted = [volume("config", { file: key })];
  test.manager.desire({ workload: podOf("one"), volumes: wanted });
  await eventually("the failure is told", () => test.manager.volumes()[0]?.last_error === "There is no c");
  test.objects.set("ConfigMap default/c", { text: "first" });
  test.manager.objectChanged(key);
  const path = (await test.manager.ready("one", { signal: AbortSignal.timeout(60_000), progress: () => {} })).get(
    "config",
  )!;
  const text = () => Deno.readTextFileSync(join(path, "file"));
  assertEquals(text(), "first");
  test.objects.set("ConfigMap default/c", { text: "second" });
  test.manager.objectChanged(key);
  await eventually("refreshed", () => text() === "second");
  test.objects.delete("ConfigMap default/c");
  test.manager.objectChanged(key);
  await eventually("the failure is told", () => test.manager.volumes()[0]?.last_error === "There is no c");
  assertEquals([test.manager.volumes()[0]!.state, text()], ["Mounted", "second"]);
});

rootTest(
  "after a restart what is mounted stays, and what nobody wants goes only once all wishes are known",
  async () => {
    await using test = await RealManager.open();
    test.manager.desiredIsComplete();
    const one = [volume("memory", { tmpfs: "m" }), volume("v", { device: "d" })];
    const path = (await test.up("one", one)).get("memory")!;
    await test.up("two", [volume("memory", { tmpfs: "m" }), volume("text", { file: "x" })]);
    Deno.writeTextFileSync(join(path, "kept"), "x");
    await eventually(
      "noted",
      () => test.store.get<{ n: number }>("SELECT sum(proved) AS n FROM workload_volumes")!.n === 3,
    );
    await test.restart();
    test.mounts.length = 0;
    await test.up("one", one);
    assertEquals(Deno.readTextFileSync(join(path, "kept")), "x");
    assertEquals(test.mounts, []);
    assertEquals(mountedIn(test).length, 4);
    test.manager.desiredIsComplete();
    await test.manager.gone("two", { signal: AbortSignal.timeout(60_000), progress: () => {} });
    assertEquals(mountedIn(test).length, 3);
    await test.down("one");
    assertEquals(mountedIn(test), []);
  },
);

rootTest("after a reboot all mounts are made again", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const wanted = [volume("memory", { tmpfs: "m" }), volume("v", { device: "d" }), volume("text", { file: "x" })];
  await test.up("one", wanted);
  await test.up("two", wanted);
  await test.manager[Symbol.asyncDispose]();
  test.store[Symbol.dispose]();
  for (const target of mountsBelow(readMountTable(), test.layout.root).map(({ target }) => target).reverse()) {
    await runCommand("umount", [target]);
  }
  test.boot = "another boot";
  test.start();
  await test.up("one", wanted);
  assertEquals(mountedIn(test).length, 3);
  test.manager.desiredIsComplete();
  await test.manager.gone("two", { signal: AbortSignal.timeout(60_000), progress: () => {} });
  await test.down("one");
  assertEquals([mountedIn(test), [...Deno.readDirSync(test.layout.pods)]], [[], []]);
});

rootTest("a container's root that loses a mount is repaired by the same loop", async () => {
  await using test = await RealManager.open();
  test.manager.desiredIsComplete();
  const path = test.layout.rootfs("c1");
  Deno.mkdirSync(path, { recursive: true });
  const assemble = async () => {
    if (mountAtTarget(readMountTable(), path) === undefined) {
      await runCommand("mount", ["-t", "tmpfs", "root", path]);
      Deno.mkdirSync(join(path, "v"));
    }
    if (mountAtTarget(readMountTable(), join(path, "v")) === undefined) {
      await runCommand("mount", ["-t", "tmpfs", "inside", join(path, "v")]);
    }
  };
  await assemble();
  test.manager.keepRoot({ id: "c1", name: "shop", path, mounts: 1, repair: assemble });
  await runCommand("umount", [join(path, "v")]);
  await eventually("the volume is back", () => mountAtTarget(readMountTable(), join(path, "v")) !== undefined);
  await eventually("no operation is left", () => test.manager.operations().length === 0);
  await runCommand("umount", ["-R", path]);
  await eventually("the root is back", () => mountedIn(test).length === 2);
  test.manager.dropRoot("c1");
  await runCommand("umount", ["-R", path]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assertEquals(mountedIn(test), []);
});

function podOf(uid: string) {
  return { kind: "pod" as const, uid, name: `default/${uid}`, namespace: "default" };
}
