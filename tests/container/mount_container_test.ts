import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

const mountsOf = (directory: string) =>
  readMountTable().map(({ target }) => target).filter((target) => target.startsWith(`${directory}/`));

rootTest("a mounted container shows the image, keeps its changes to itself, and goes without a trace", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "one" });
  await test.create({ name: "two" });
  const { rootfs, mounted } = await test.mount("one");
  assert(mounted);
  assertEquals(await Deno.readTextFile(join(rootfs, "etc/motd")), "hello\n");
  await Deno.writeTextFile(join(rootfs, "etc/motd"), "changed\n");
  await Deno.remove(join(rootfs, "etc/second"));
  await Deno.writeTextFile(join(rootfs, "new"), "new\n");
  assertEquals(await test.runtime.containers.diff("one", test.operation), [
    { kind: "C", path: "/etc" },
    { kind: "C", path: "/etc/motd" },
    { kind: "D", path: "/etc/second" },
    { kind: "A", path: "/new" },
  ]);
  const other = await test.mount("two");
  assertEquals(await Deno.readTextFile(join(other.rootfs, "etc/motd")), "hello\n");
  await test.unmount("one");
  assertEquals((await test.mount("one")).mounted, true);
  assertEquals(await Deno.readTextFile(join(rootfs, "etc/motd")), "changed\n");
  for (const name of ["one", "two"]) {
    await test.unmount(name);
    await test.remove(name);
  }
  assertEquals(mountsOf(test.root), []);
  assertEquals([...Deno.readDirSync(join(test.root, "containers"))], []);
  assertEquals(await test.check(), []);
});

rootTest("mounting twice is mounting once, and so is unmounting", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await test.mount("c");
  const before = mountsOf(test.root);
  await Promise.all([test.mount("c"), test.mount("c")]);
  assertEquals(mountsOf(test.root), before);
  await test.unmount("c");
  await test.unmount("c");
  assertEquals(mountsOf(test.root), []);
});

rootTest(
  "volumes, binds and tmpfs are mounted at their targets, nested ones inside of what they are nested in",
  async () => {
    await using test = await TestRuntime.withImage();
    const host = test.hostDirectory("host");
    await Deno.writeTextFile(join(host, "file"), "of the host\n");
    await test.create({
      name: "c",
      mounts: [
        { type: "bind", source: join(host, "file"), target: "/data/deep/er/file" },
        { type: "tmpfs", target: "/data/deep", size_bytes: 1 << 20, mode: 0o700 },
        { type: "volume", source: "data", target: "/data", no_copy: true },
        { type: "bind", source: host, target: "/data/from-host", read_only: true },
      ],
    });
    const { rootfs } = await test.mount("c");
    await Deno.writeTextFile(join(rootfs, "data/in-volume"), "kept\n");
    assertEquals(await Deno.readTextFile(join(rootfs, "data/deep/er/file")), "of the host\n");
    assertEquals((await Deno.stat(join(rootfs, "data/deep"))).mode! & 0o7777, 0o700);
    await assertRejects(() => Deno.writeTextFile(join(rootfs, "data/from-host/x"), "x"));
    // What the image has at the target is covered, not changed.
    await assertRejects(() => Deno.stat(join(rootfs, "data/from-image")), Deno.errors.NotFound);
    await test.unmount("c");
    const volume = test.runtime.volumes.inspect("data").mountpoint;
    assertEquals(await Deno.readTextFile(join(volume, "in-volume")), "kept\n");
    assertEquals(await Deno.readTextFile(join(host, "file")), "of the host\n");
    await test.mount("c");
    assertEquals(await Deno.readTextFile(join(rootfs, "data/in-volume")), "kept\n");
  },
);

rootTest("two containers share a volume", async () => {
  await using test = await TestRuntime.withImage();
  const mounts = [{ type: "volume" as const, source: "shared", target: "/shared" }];
  await test.create({ name: "a", mounts });
  await test.create({ name: "b", mounts: [{ ...mounts[0]!, read_only: true }] });
  const [a, b] = await Promise.all([test.mount("a"), test.mount("b")]);
  await Deno.writeTextFile(join(a.rootfs, "shared/x"), "from a");
  assertEquals(await Deno.readTextFile(join(b.rootfs, "shared/x")), "from a");
  await assertRejects(() => Deno.writeTextFile(join(b.rootfs, "shared/y"), ""));
  assertEquals(test.runtime.volumes.inspect("shared").used_by, ["a", "b"]);
});

rootTest("a link in the image never leads a volume onto the host", async () => {
  await using test = await TestRuntime.open();
  const host = test.hostDirectory("victim");
  await test.importImage(SMALL_IMAGE, [{
    "absolute": `-> ${host}`,
    "upwards": "-> ../../../../../../../../../../../../etc",
    "into": "-> /absolute/deeper",
    "chain": "-> into",
    "dir/": "",
    "dir/loop": "-> loop",
  }]);
  const before = mountsOf("/").filter((target) => !target.startsWith(test.root));
  for (const [i, target] of ["/absolute", "/upwards", "/into", "/chain/more", "/upwards/x"].entries()) {
    await test.create({ name: `c${i}`, mounts: [{ type: "volume", source: "data", target }] });
    const { rootfs } = await test.mount(`c${i}`);
    const inside = mountsOf(rootfs);
    assertEquals(inside.length, 1, target);
    assertEquals(mountsOf("/").filter((path) => !path.startsWith(test.root)), before, target);
    // Where the link leads, seen from inside of the root.
    assert(inside[0]!.startsWith(`${rootfs}/`), inside[0]);
    await test.unmount(`c${i}`);
  }
  assertEquals([...Deno.readDirSync(host)], []);
  await test.create({ name: "loop", mounts: [{ type: "volume", source: "data", target: "/dir/loop/x" }] });
  const error = await assertRejects(() => test.mount("loop"), LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertEquals(mountsOf(test.root), []);
});

rootTest("a mount that fails in the middle is taken apart whole and leaves nothing wanted", async () => {
  await using test = await TestRuntime.withImage();
  const source = test.hostDirectory("source");
  await test.create({
    name: "c",
    mounts: [
      { type: "volume", source: "data", target: "/v" },
      { type: "bind", source, target: "/v/nested" },
      { type: "volume", source: "data", target: "/etc/motd" },
    ],
  });
  const error = await assertRejects(() => test.mount("c"), LaminaError, "/etc/motd");
  assertEquals(error.code, "CONFLICT");
  assertEquals(mountsOf(test.root), []);
  assertEquals(await test.check(), []);
  await test.restart();
  assertEquals(mountsOf(test.root), []);
});

rootTest("a source that vanished after the creation is named, unless it may be made", async () => {
  await using test = await TestRuntime.withImage();
  const source = test.hostDirectory("source");
  await test.create({ name: "strict", mounts: [{ type: "bind", source, target: "/b" }] });
  await test.create({ name: "lax", mounts: [{ type: "bind", source, target: "/b", create_source: true }] });
  await Deno.remove(source);
  const error = await assertRejects(() => test.mount("strict"), LaminaError, source);
  assertEquals(error.code, "NOT_FOUND");
  assertEquals((await test.runtime.containers.inspect("strict", { size: false }, test.operation)).mounted, false);
  await test.mount("lax");
  assertEquals((await Deno.stat(source)).mode! & 0o7777, 0o755);
});

rootTest("a read-only root has its mount points all the same, and only its volumes are written to", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "plain", read_only: true });
  await test.create({
    name: "volumes",
    read_only: true,
    mounts: [{ type: "volume", source: "data", target: "/not/there/yet" }, { type: "tmpfs", target: "/tmp" }],
  });
  for (const name of ["plain", "volumes"]) {
    const { rootfs } = await test.mount(name);
    await assertRejects(() => Deno.writeTextFile(join(rootfs, "x"), ""), Error, "Read-only file system");
    await assertRejects(() => Deno.mkdir(join(rootfs, "etc/x")), Error, "Read-only file system");
  }
  const { rootfs } = await test.runtime.containers.inspect("volumes", { size: false }, test.operation);
  await Deno.writeTextFile(join(rootfs, "not/there/yet/x"), "x");
  await Deno.writeTextFile(join(rootfs, "tmp/x"), "x");
  await test.mount("volumes");
  assertEquals(await test.check(), []);
});

rootTest(
  "a volume that somebody took out of a mounted root is put back by mounting again, and by check --repair",
  async () => {
    await using test = await TestRuntime.withImage();
    await test.create({
      name: "c",
      mounts: [{ type: "volume", source: "data", target: "/v" }, { type: "tmpfs", target: "/t" }],
    });
    const { rootfs } = await test.mount("c");
    // Checked in the same turn of the event loop: the manager would put it back a moment later.
    new Deno.Command("umount", { args: [join(rootfs, "v")] }).outputSync();
    const [finding] = await test.check();
    assertStringIncludes(finding!, "missing-mount");
    await test.mount("c");
    assertEquals(await test.check(), []);
    new Deno.Command("umount", { args: [join(rootfs, "t")] }).outputSync();
    assertStringIncludes((await test.check({ repair: true }))[0]!, "repaired");
    assertEquals(await test.check(), []);
    assertEquals(mountsOf(rootfs).length, 2);
  },
);

rootTest("a mount of somebody else inside of a root blocks unmounting, but not lazily", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  await commandOutput("mount", ["-t", "tmpfs", "stranger", join(rootfs, "empty")]);
  const error = await assertRejects(() => test.unmount("c"), LaminaError, join(rootfs, "empty"));
  assertEquals(error.code, "CONFLICT");
  assertEquals(mountsOf(rootfs).length, 2);
  assertStringIncludes((await test.check())[0]!, "foreign-mount");
  await test.runtime.containers.unmount("c", { lazy: true }, test.operation);
  assertEquals(mountsOf(test.root), []);
  assertEquals(await test.check(), []);
});

rootTest("a root that a process works in is busy: it stays, and is told so", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  using held = await Deno.open(join(rootfs, "etc/motd"));
  const error = await assertRejects(() => test.unmount("c"), LaminaError);
  assertEquals(error.code, "CONFLICT");
  assertEquals((await test.runtime.containers.inspect("c", { size: false }, test.operation)).mounted, true);
  assertEquals(mountsOf(rootfs), [join(rootfs, "v")]);
  await test.restart();
  assertEquals((await test.runtime.containers.inspect("c", { size: false }, test.operation)).mounted, true);
  assertEquals(await test.check(), []);
  await test.runtime.containers.unmount("c", { lazy: true }, test.operation);
  assertEquals(mountsOf(test.root), []);
  assertEquals(await held.read(new Uint8Array(5)), 5);
});

rootTest("a bind takes the mounts below its source along and gives them back untouched", async () => {
  await using test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  await Deno.mkdir(join(host, "inner"));
  await commandOutput("mount", ["-t", "tmpfs", "inner", join(host, "inner")]);
  await commandOutput("mount", ["--make-shared", join(host, "inner")]);
  await Deno.writeTextFile(join(host, "inner/x"), "x");
  await test.create({ name: "c", mounts: [{ type: "bind", source: host, target: "/h" }] });
  const { rootfs } = await test.mount("c");
  assertEquals(await Deno.readTextFile(join(rootfs, "h/inner/x")), "x");
  await test.unmount("c");
  assertEquals(mountsOf(test.root), []);
  assertEquals(await Deno.readTextFile(join(host, "inner/x")), "x");
  await commandOutput("umount", [join(host, "inner")]);
});

rootTest(
  "a bind that was left shared with the host, as a kill between two steps leaves it, takes nothing of the host's along",
  async () => {
    await using test = await TestRuntime.withImage();
    const host = test.hostDirectory("host");
    await Deno.mkdir(join(host, "inner"));
    await commandOutput("mount", ["--bind", host, host]);
    await commandOutput("mount", ["--make-shared", host]);
    await commandOutput("mount", ["-t", "tmpfs", "inner", join(host, "inner")]);
    await Deno.writeTextFile(join(host, "inner/x"), "x");
    await test.create({ name: "c", mounts: [{ type: "bind", source: host, target: "/h" }] });
    const { rootfs } = await test.mount("c");
    await test.runtime[Symbol.asyncDispose]();
    await commandOutput("umount", ["-R", join(rootfs, "h")]);
    await commandOutput("mount", ["--rbind", host, join(rootfs, "h")]);
    await test.reopen();
    assertEquals(await test.check(), []);
    await test.unmount("c");
    assertEquals(mountsOf(test.root), []);
    assertEquals(await Deno.readTextFile(join(host, "inner/x")), "x");
  },
);
