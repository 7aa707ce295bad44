import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { DRIVERS, runtimeOn } from "./support/runtime_on.ts";
import { writeOciLayout } from "../support/oci_layout.ts";

const onData = (source: string, more: Record<string, unknown> = {}) =>
  ({ type: "volume", source, target: "/data", ...more }) as const;

function contents(test: TestRuntime, volume: string): string[] {
  const { mountpoint } = test.runtime.volumes.inspect(volume);
  return [...Deno.readDirSync(mountpoint)].map(({ name }) => name).sort();
}

/** An image with everything that a directory can hold, made with the real tar. */
async function withRichImage(test: TestRuntime): Promise<void> {
  const tree = test.hostDirectory("tree");
  const script = `
    mkdir -p srv/sub empty outside && chmod 2751 srv && chown 123:456 srv && chmod 0700 empty && chown 7:8 empty
    echo one > srv/file && chown 1:2 srv/file && chmod 4755 srv/file && ln srv/file srv/hard && ln srv/file srv/sub/hard
    ln -s /etc/passwd srv/absolute && ln -s ../../../../etc srv/climbing && ln -s /srv link && ln -s /outside out
    mkfifo -m 640 srv/pipe && mknod -m 600 srv/null c 1 3 && mknod -m 600 srv/disk b 7 250
    setfattr -n user.colour -v blue srv/file && setfattr -n user.top -v yes srv && setfattr -n trusted.t -v 1 srv/sub
    truncate -s 1M srv/holes && echo secret > outside/secret && touch -d '2001-02-03 04:05:06.789' srv/file srv/sub
    ln -s loop-b loop-a && ln -s loop-a loop-b && echo plain > plain`;
  await commandOutput("sh", ["-ec", `cd "$0"; ${script}`, tree]);
  const archive = join(test.scratch.path, "rich.tar");
  const options = ["--xattrs", "--xattrs-include=*", "--format=pax", "--numeric-owner", "--sort=name"];
  await commandOutput("tar", [...options, "-cf", archive, "-C", tree, "."]);
  const layout = join(test.scratch.path, "rich-layout");
  await writeOciLayout(layout, {
    reference: "rich:1",
    layers: [{ tar: await Deno.readFile(archive), createdBy: "x" }],
    config: {},
  });
  await test.runtime.images.import({ path: layout }, {}, test.operation);
}

/** Everything of a tree but access and change times. */
async function described(tree: string): Promise<string> {
  return await commandOutput("sh", [
    "-c",
    `cd "$0" && find . -printf '%p %y %m %U:%G %n %s %T@ %l\\n' | sed -E 's/^(\\S+ d \\S+ \\S+ [0-9]+) [0-9]+/\\1/' | sort &&
     { getfattr -R -P -h -d -m 'user|trusted.t' . 2>/dev/null || true; }`,
    tree,
  ]);
}

for (const driver of DRIVERS) {
  rootTest(`an empty volume gets what the image has at its target, once, and keeps it, on ${driver}`, async () => {
    await using on = await runtimeOn(driver);
    const { test } = on;
    await test.create({ name: "one", mounts: [onData("data")] });
    assertEquals(contents(test, "data"), ["from-image"]);
    const { mountpoint } = test.runtime.volumes.inspect("data");
    await Deno.remove(join(mountpoint, "from-image"));
    // Emptied by its owner: it stays empty.
    await test.create({ name: "two", mounts: [onData("data")] });
    assertEquals(contents(test, "data"), []);
    // A volume that somebody has put something into is not touched.
    const own = await test.runtime.volumes.create({ name: "own" }, test.operation);
    await Deno.writeTextFile(join(own.mountpoint, "mine"), "mine");
    await test.create({ name: "three", mounts: [onData("own")] });
    assertEquals(contents(test, "own"), ["mine"]);
    // One that was made empty before is filled, and its directory is still the same.
    const before = await test.runtime.volumes.create({ name: "before" }, test.operation);
    const { ino } = await Deno.stat(before.mountpoint);
    await test.create({ name: "four", mounts: [onData("before")] });
    assertEquals(contents(test, "before"), ["from-image"]);
    assertEquals((await Deno.stat(before.mountpoint)).ino, ino);
    assertEquals(await test.check(), []);
  });
}

rootTest("nothing is copied where nothing may be, or where there is nothing", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({
    name: "c",
    mounts: [
      onData("nocopy", { no_copy: true }),
      { type: "volume", source: "absent", target: "/not/there" },
      { type: "volume", source: "file", target: "/etc/motd/x" },
    ],
  });
  for (const name of ["nocopy", "absent", "file"]) assertEquals(contents(test, name), [], name);
  // A volume that was empty with one image may be filled by another.
  await test.importImage("other:1", [{ "not/there/": "", "not/there/late": "late\n" }]);
  await test.create({ image: "other:1", mounts: [{ type: "volume", source: "absent", target: "/not/there" }] });
  assertEquals(contents(test, "absent"), ["late"]);
  // Somebody has it mounted: what is copied appears there.
  await test.create({ name: "live", mounts: [{ type: "volume", source: "live", target: "/not/there" }] });
  const { rootfs } = await test.mount("live");
  await test.create({ image: "other:1", mounts: [{ type: "volume", source: "live", target: "/not/there" }] });
  assertEquals(await Deno.readTextFile(join(rootfs, "not/there/late")), "late\n");
  assertEquals(await test.check(), []);
});

for (const driver of DRIVERS) {
  rootTest(
    `a copy has everything: owners, modes, times, links, devices, attributes, and those of its own top, on ${driver}`,
    async () => {
      await using on = await runtimeOn(driver);
      const { test } = on;
      await withRichImage(test);
      await test.create({ image: "rich:1", name: "image" });
      const { rootfs } = await test.mount("image");
      const expected = await described(join(rootfs, "srv"));
      assert(expected.includes("user.colour") && expected.includes("2751"), expected);
      await test.create({
        image: "rich:1",
        name: "c",
        mounts: [
          { type: "volume", source: "fresh", target: "/srv" },
          { type: "volume", source: "hollow", target: "/empty" },
        ],
      });
      await test.runtime.volumes.create({ name: "older" }, test.operation);
      await test.create({ image: "rich:1", name: "d", mounts: [{ type: "volume", source: "older", target: "/srv" }] });
      for (const name of ["fresh", "older"]) {
        assertEquals(await described(test.runtime.volumes.inspect(name).mountpoint), expected, name);
      }
      const hollow = await Deno.stat(test.runtime.volumes.inspect("hollow").mountpoint);
      assertEquals([hollow.mode! & 0o7777, hollow.uid, hollow.gid], [0o700, 7, 8]);
    },
  );
}

for (const driver of DRIVERS) {
  rootTest(`links of an image lead copy-up nowhere but into the image, on ${driver}`, async () => {
    await using on = await runtimeOn(driver);
    const { test } = on;
    await withRichImage(test);
    const mount = (source: string, target: string) => ({ type: "volume", source, target }) as const;
    const names = ["follows", "climbs", "loops", "through"];
    await test.create({
      image: "rich:1",
      mounts: [
        mount(names[0]!, "/out"),
        mount(names[1]!, "/srv/climbing"),
        mount(names[2]!, "/plain/x"),
        mount(names[3]!, "/loop-a"),
      ],
    });
    assertEquals(contents(test, "follows"), ["secret"]);
    for (const name of names.slice(1)) assertEquals(contents(test, name), [], name);
  });
}

for (const driver of DRIVERS) {
  rootTest(`a copy-up that fails leaves no volume, no view and no container, on ${driver}`, async () => {
    await using on = await runtimeOn(driver);
    const { test } = on;
    const older = await test.runtime.volumes.create({ name: "older" }, test.operation);
    await commandOutput("chattr", ["+i", older.mountpoint]);
    try {
      const mounts = [onData("new"), { ...onData("older"), target: "/etc" }];
      await assertRejects(() => test.create({ name: "c", mounts }), LaminaError, "permit");
    } finally {
      await commandOutput("chattr", ["-i", older.mountpoint]);
    }
    assertEquals(test.runtime.volumes.list().map(({ name }) => name), ["older"]);
    assertEquals([...Deno.readDirSync(older.mountpoint)], []);
    assertEquals(test.runtime.containers.list(), []);
    assertEquals(await test.check(), []);
    assertEquals([...Deno.readDirSync(join(test.root, "staging"))], []);
  });
}

rootTest("many that name one new volume at a time fill it once, and all see it whole", async () => {
  await using test = await TestRuntime.withImage();
  const files = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`many/f${i}`, `${i}\n`]));
  await test.importImage("many:1", [files]);
  for (let round = 0; round < 3; round++) {
    const source = `shared-${round}`;
    const mounts = [{ type: "volume", source, target: "/many" }] as const;
    await Promise.all(Array.from({ length: 12 }, async (_, i) => {
      const created = await test.runtime.containers.create(
        { image: "many:1", name: `c${round}-${i}`, mounts: [...mounts] },
        test.operation,
        { mount: i % 2 === 0 },
      );
      assertEquals(contents(test, source).length, 200);
      if (i % 2 === 0) assertEquals([...Deno.readDirSync(join(created.rootfs, "many"))].length, 200);
    }));
  }
  assertEquals(await test.check(), []);
});
