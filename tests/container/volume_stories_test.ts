/** The stories that people know volumes by. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { DRIVERS, runtimeOn } from "./support/runtime_on.ts";
import { bytesOfStream, SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

const names = (test: TestRuntime) => test.runtime.volumes.list().map(({ name }) => name);
const dangling = (test: TestRuntime) => test.runtime.volumes.list({ dangling: true }).map(({ name }) => name);

rootTest("two containers share a volume by --volumes-from, and the second may only read it", async () => {
  await using test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  await test.create({
    name: "first",
    mounts: [
      { type: "volume", source: "data", target: "/data" },
      { type: "volume", target: "/own" },
      { type: "bind", source: host, target: "/host", read_only: true },
      { type: "tmpfs", target: "/scratch" },
    ],
  });
  const second = await test.create({ name: "second", volumes_from: ["first:ro"] });
  const third = await test.create({
    name: "third",
    volumes_from: ["first", "second"],
    mounts: [{ type: "volume", source: "mine", target: "/own/" }],
  });
  const shown = ({ mounts }: typeof second) =>
    mounts.map((mount) => `${mount.target} ${"read_only" in mount && mount.read_only ? "ro" : "rw"} ${mount.from}`)
      .sort();
  assertEquals(shown(second), ["/data ro volumes_from", "/host ro volumes_from", "/own ro volumes_from"]);
  // The later source wins, and what is asked for directly over both; a tmpfs is nobody else's.
  assertEquals(shown(third), ["/data ro volumes_from", "/host ro volumes_from", "/own/ rw request"]);
  const a = await test.mount("first"), b = await test.mount("second");
  await Deno.writeTextFile(join(a.rootfs, "data/shared"), "seen by both\n");
  assertEquals(await Deno.readTextFile(join(b.rootfs, "data/shared")), "seen by both\n");
  await assertRejects(() => Deno.writeTextFile(join(b.rootfs, "data/x"), "x"));
  await assertRejects(() => Deno.writeTextFile(join(a.rootfs, "host/x"), "x"));
  await assertRejects(() => test.create({ volumes_from: ["nobody"] }), LaminaError, "nobody");
  await assertRejects(() => test.create({ volumes_from: ["first:rx"] }), LaminaError, "mode");
  assertEquals(await test.check(), []);
});

rootTest(
  "a data container is backed up with --volumes-from and a tar to a host directory, and restored from it",
  async () => {
    await using test = await TestRuntime.withImage();
    const backup = test.hostDirectory("backup");
    await test.create({ name: "db", mounts: [{ type: "volume", target: "/data" }] });
    const { rootfs: db } = await test.mount("db");
    await Deno.writeTextFile(join(db, "data/rows"), "1 2 3\n");
    await test.create({
      name: "tool",
      volumes_from: ["db"],
      mounts: [{ type: "bind", source: backup, target: "/backup" }],
    });
    const { rootfs } = await test.mount("tool");
    await commandOutput("tar", ["-C", join(rootfs, "data"), "-cf", join(rootfs, "backup/db.tar"), "."]);
    await test.remove("tool", { force: true, volumes: true });
    await test.remove("db", { force: true, volumes: true });
    assertEquals(names(test), []);
    assert((await Deno.stat(join(backup, "db.tar"))).size > 0);
    await test.create({ name: "db2", mounts: [{ type: "volume", source: "restored", target: "/data" }] });
    await test.create({
      name: "tool2",
      volumes_from: ["db2"],
      mounts: [{ type: "bind", source: backup, target: "/backup" }],
    });
    const { rootfs: tool2 } = await test.mount("tool2");
    await commandOutput("tar", ["-C", join(tool2, "data"), "-xf", join(tool2, "backup/db.tar")]);
    const { rootfs: db2 } = await test.mount("db2");
    assertEquals(await Deno.readTextFile(join(db2, "data/rows")), "1 2 3\n");
    assertEquals(await Deno.readTextFile(join(db2, "data/from-image")), "image\n");
  },
);

rootTest("rm -v removes the anonymous volumes that nobody else has; named ones and host directories stay", async () => {
  await using test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  await Deno.writeTextFile(join(host, "precious"), "mine\n");
  const { mounts } = await test.create({
    name: "c",
    mounts: [
      { type: "volume", target: "/anonymous" },
      { type: "volume", target: "/lent" },
      { type: "volume", source: "named", target: "/named" },
      { type: "bind", source: host, target: "/host" },
    ],
  });
  const sourceOf = (target: string) => (mounts.find((mount) => mount.target === target) as { source: string }).source;
  assert(/^[0-9a-f]{64}$/.test(sourceOf("/anonymous")));
  assertEquals(Object.keys(test.runtime.volumes.inspect(sourceOf("/lent")).labels), ["com.docker.volume.anonymous"]);
  await test.create({ name: "borrower", mounts: [{ type: "volume", source: sourceOf("/lent"), target: "/lent" }] });
  await assertRejects(
    () => test.runtime.volumes.remove(sourceOf("/anonymous"), test.operation),
    LaminaError,
    '"c"',
  );
  const { deleted } = await test.remove("c", { volumes: true });
  assertEquals(deleted.slice(1), [sourceOf("/anonymous")]);
  assertEquals(names(test).sort(), ["named", sourceOf("/lent")].sort());
  assertEquals(await Deno.readTextFile(join(host, "precious")), "mine\n");
  // Without -v nothing of it goes, and the orphan is found.
  await test.create({ name: "d", mounts: [{ type: "volume", target: "/anonymous" }] });
  await test.remove("d");
  assertEquals(dangling(test).length, 2);
  assert(dangling(test).includes("named"));
  assertEquals(await test.check(), []);
});

rootTest("a container with --rm takes its anonymous volumes along when it is unmounted", async () => {
  await using test = await TestRuntime.withImage();
  const mounts = [{ type: "volume", target: "/a" }, { type: "volume", source: "kept", target: "/b" }] as const;
  await test.create({ name: "c", auto_remove: true, mounts: [...mounts] });
  await test.mount("c");
  await test.unmount("c");
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(names(test), ["kept"]);
});

rootTest("a volume survives its containers, and a host directory outlives all", async () => {
  await using test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  const spec = {
    mounts: [
      { type: "volume" as const, source: "data", target: "/data" },
      { type: "bind" as const, source: host, target: "/host" },
    ],
  };
  for (let life = 0; life < 3; life++) {
    await test.create({ name: "c", ...spec });
    const { rootfs } = await test.mount("c");
    await Deno.writeTextFile(join(rootfs, `data/life-${life}`), "");
    await Deno.writeTextFile(join(rootfs, `host/life-${life}`), "");
    await test.remove("c", { force: true, volumes: true });
  }
  const found = [...Deno.readDirSync(test.runtime.volumes.inspect("data").mountpoint)].map(({ name }) => name).sort();
  assertEquals(found, ["from-image", "life-0", "life-1", "life-2"]);
  assertEquals([...Deno.readDirSync(host)].map(({ name }) => name).sort(), ["life-0", "life-1", "life-2"]);
});

rootTest("each VOLUME of an image becomes an anonymous volume, unless something else is mounted there", async () => {
  await using test = await TestRuntime.withImage();
  const Volumes = { "/data": {}, "/taken/": {}, "/shared": {}, relative: {}, "/": {} };
  await test.importImage("volumes:1", [{ "data/": "", "data/file": "image\n" }], { Volumes });
  await test.create({ name: "lender", mounts: [{ type: "volume", source: "lent", target: "/shared" }] });
  const container = await test.create({
    image: "volumes:1",
    name: "c",
    volumes: ["/more", "/data"],
    volumes_from: ["lender"],
    mounts: [{ type: "tmpfs", target: "/taken" }],
  });
  const shown = container.mounts.map((mount) => `${mount.target} ${mount.type} ${mount.from}`).sort();
  assertEquals(shown, [
    "/data volume request",
    "/more volume request",
    "/relative volume image",
    "/shared volume volumes_from",
    "/taken tmpfs request",
  ]);
  const { rootfs } = await test.mount("c");
  assertEquals(await Deno.readTextFile(join(rootfs, "data/file")), "image\n");
  await test.remove("c", { force: true, volumes: true });
  assertEquals(names(test), ["lent"]);
});

for (const driver of DRIVERS) {
  rootTest(`cp sees the volumes of a container that is not mounted, both ways, on ${driver}`, async () => {
    await using on = await runtimeOn(driver);
    const { test } = on;
    const spec = {
      mounts: [{ type: "volume" as const, source: "data", target: "/data" }, {
        type: "tmpfs" as const,
        target: "/etc",
      }],
    };
    await test.create({ name: "c", ...spec });
    const { containers } = test.runtime;
    const tar = await bytesOfStream(await containers.copyOut("c", "/data", test.operation));
    assert(new TextDecoder().decode(tar).includes("from-image"));
    await containers.copyIn("c", "/data/", ReadableStream.from([tar]), test.operation);
    const { mountpoint } = test.runtime.volumes.inspect("data");
    assertEquals(await Deno.readTextFile(join(mountpoint, "data/from-image")), "image\n");
    // What a tmpfs will cover is the image's as long as nothing runs.
    assertEquals((await containers.statPath("c", "/etc/motd", test.operation)).kind, "file");
    assertEquals(containers.list()[0]!.mounted, false);
    assertEquals(await test.check(), []);
  });
}

rootTest("a container is renamed, mounted or not, and a prune takes what is not mounted", async () => {
  await using test = await TestRuntime.withImage();
  const { containers } = test.runtime;
  // No name here has only hexadecimal digits: one that has gone could be the beginning of another container's id.
  await test.create({ name: "ann", labels: { keep: "yes" }, mounts: [{ type: "volume", target: "/v" }] });
  await test.create({ name: "bob" });
  const { id } = await test.mount("bob");
  assertEquals((await containers.rename("bob", "kim", test.operation)).id, id);
  assertEquals(containers.list().map(({ name }) => name), ["ann", "kim"]);
  await assertRejects(() => containers.rename("kim", "ann", test.operation), LaminaError, "has that name");
  await assertRejects(() => containers.rename("kim", "no/name", test.operation), LaminaError);
  await assertRejects(() => containers.rename("bob", "x", test.operation), LaminaError, "no container");
  await test.create({ name: "bob" });
  const prune = (options: Parameters<typeof containers.prune>[0]) => containers.prune(options, test.operation);
  assertEquals((await prune({ until: "2001-01-01T00:00:00Z" })).deleted, []);
  assertEquals((await prune({ not_label: ["keep"] })).deleted.length, 1);
  assertEquals((await prune({ label: ["keep=no"] })).deleted, []);
  assertEquals(containers.list().map(({ name }) => name), ["ann", "kim"]);
  const { deleted } = await prune({ label: ["keep=yes"], volumes: true });
  assertEquals(deleted.length, 2);
  assertEquals(names(test), []);
  assertEquals(containers.list().map(({ name }) => name), ["kim"]);
  await test.restart();
  assertEquals(test.runtime.containers.list().map(({ name, mounted }) => [name, mounted]), [["kim", true]]);
});

rootTest(
  "a volume is made by a mount with its driver, options and labels, and must be what is asked for later",
  async () => {
    await using test = await TestRuntime.withImage();
    const mount = (volume: Record<string, unknown>) =>
      ({ type: "volume", source: "made", target: "/v", volume }) as const;
    const options = { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=700" };
    await test.create({ name: "a", mounts: [mount({ driver: "local", options, labels: { tier: "db" } })] });
    assertEquals(test.runtime.volumes.inspect("made").labels, { tier: "db" });
    await test.create({ name: "b", mounts: [mount({ driver: "local" })] });
    await test.create({ name: "c", mounts: [{ type: "volume", source: "made", target: "/v" }] });
    const refused = (volume: Record<string, unknown>, code: string) =>
      test.create({ name: "x", mounts: [mount(volume)] }).then(
        () => Promise.reject(new Error("was not refused")),
        (error) => assertEquals(error.code, code),
      );
    await refused({ options: { ...options, o: "size=2m" } }, "CONFLICT");
    await refused({ driver: "nobody" }, "NOT_FOUND");
    // It is mounted from its first user to its last.
    const { mountpoint } = test.runtime.volumes.inspect("made");
    const isMounted = async () => (await Deno.readTextFile("/proc/self/mountinfo")).includes(` ${mountpoint} `);
    assertEquals(await isMounted(), false);
    const { rootfs } = await test.mount("a");
    await test.mount("b");
    assertEquals(await isMounted(), true);
    await Deno.writeTextFile(join(rootfs, "v/x"), "x");
    await test.unmount("a");
    assertEquals(await isMounted(), true);
    await test.restart();
    assertEquals(await isMounted(), true);
    assertEquals(await Deno.readTextFile(join(test.runtime.containers.list()[1]!.rootfs, "v/x")), "x");
    await test.unmount("b");
    assertEquals(await isMounted(), false);
    assertEquals(await test.check(), []);
  },
);

for (const driver of DRIVERS) {
  rootTest(
    `an image that is mounted in a container is read-only, whole or by a subpath, and kept as long as it is used, on ${driver}`,
    async () => {
      await using on = await runtimeOn(driver);
      const { test } = on;
      await test.importImage("tools:1", [{ "bin/": "", "bin/tool": "a tool\n", out: "-> /etc", "other/": "" }]);
      await test.create({
        name: "c",
        mounts: [
          { type: "image", source: "tools:1", target: "/tools" },
          { type: "image", source: "tools:1", target: "/tool", subpath: "bin/tool" },
          { type: "volume", source: "data", target: "/tools/other" },
        ],
      });
      await assertRejects(
        () => test.runtime.images.remove("tools:1", { force: false }, test.operation),
        LaminaError,
        '"c"',
      );
      const { rootfs } = await test.mount("c");
      assertEquals(await Deno.readTextFile(join(rootfs, "tools/bin/tool")), "a tool\n");
      assertEquals(await Deno.readTextFile(join(rootfs, "tool")), "a tool\n");
      await assertRejects(() => Deno.writeTextFile(join(rootfs, "tools/bin/tool"), "x"));
      await Deno.writeTextFile(join(rootfs, "tools/other/kept"), "x");
      assertEquals(await test.check(), []);
      await test.restart();
      assertEquals(await Deno.readTextFile(join(rootfs, "tools/bin/tool")), "a tool\n");
      assertEquals(await test.check(), []);
      await test.unmount("c");
      assertEquals([...Deno.readDirSync(join(rootfs, ".."))].map(({ name }) => name), ["rootfs"]);
      assertEquals(await test.check(), []);
      const escape = { type: "image", source: "tools:1", target: "/x", subpath: "out" } as const;
      await test.create({ name: "escapes", mounts: [escape] });
      await assertRejects(() => test.mount("escapes"), LaminaError, "leads out");
      await test.remove("escapes");
      await test.remove("c");
      await test.runtime.images.remove("tools:1", { force: false }, test.operation);
      await assertRejects(
        () => test.create({ image: SMALL_IMAGE, mounts: [{ type: "image", source: "tools:1", target: "/x" }] }),
        LaminaError,
        "no image",
      );
      assertEquals(await test.check(), []);
    },
  );
}
