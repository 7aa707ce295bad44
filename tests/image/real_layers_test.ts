import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import type { ImportSource } from "../../runtime/services.ts";
import { rootTest, testOperation } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { configOf, type Entry, layoutOf, sha256, skopeo, stored, streamOfBytes, tarOf } from "./support/archives.ts";

/** An image made by umoci: its own layers, of which `insert` writes some without their end. */
async function umociLayout(directory: string): Promise<string> {
  const layout = join(directory, "umoci");
  const umoci = (...args: string[]) => commandOutput("umoci", args);
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", `${layout}:1.0`);
  await Deno.mkdir(join(directory, "tree/etc"), { recursive: true });
  await Deno.writeTextFile(join(directory, "tree/etc/motd"), "hello\n");
  await Deno.symlink("motd", join(directory, "tree/etc/link"));
  await Deno.copyFile("/bin/busybox", join(directory, "tree/busybox"));
  await umoci("insert", "--image", `${layout}:1.0`, join(directory, "tree"), "/");
  await Deno.writeTextFile(join(directory, "more"), "more\n");
  await umoci("insert", "--image", `${layout}:1.0`, join(directory, "more"), "/etc/more");
  await umoci("insert", "--image", `${layout}:1.0`, "--whiteout", "/etc/link");
  await umoci("config", "--image", `${layout}:1.0`, "--config.cmd", "/busybox", "--author", "me");
  return layout;
}

/** Everything that one finds in the root file system of an image. */
async function listing(test: TestRuntime, image: string): Promise<string> {
  const { id, rootfs } = await test.create({ image });
  await test.mount(id);
  const list = await commandOutput("find", [rootfs, "-printf", "%P %y %m %U:%G %s %l\\n"]);
  const sums = await commandOutput("sh", ["-c", `cd '${rootfs}' && find . -type f -exec sha256sum {} + | sort`]);
  await test.unmount(id);
  await test.remove(id);
  return [...list.split("\n").filter((line) => !line.startsWith(" d")).sort(), sums].join("\n");
}

for (const storageDriver of ["overlay", "vfs"]) {
  rootTest(
    `an image of umoci is the same in every format that skopeo makes of it, and back (${storageDriver})`,
    async () => {
      await using test = await TestRuntime.open({ storageDriver });
      const { images } = test.runtime;
      const layout = await umociLayout(test.scratch.path);
      const at = (name: string) => join(test.scratch.path, name);
      await skopeo("copy", "-q", `oci:${layout}:1.0`, `docker-archive:${at("docker.tar")}:umoci:1.0`);
      await skopeo("copy", "-q", `oci:${layout}:1.0`, `oci-archive:${at("oci.tar")}:umoci:1.0`);
      await skopeo("copy", "-q", "--dest-compress-format=zstd", `oci:${layout}:1.0`, `oci:${at("zstd")}:umoci:1.0`);
      for (const name of ["docker.tar", "oci.tar"]) {
        await commandOutput("sh", ["-c", `gzip -k '${at(name)}' && zstd -q '${at(name)}'`]);
      }
      const first = await images.import({ path: layout }, {}, testOperation());
      assertEquals(first.images[0]!.references, ["umoci:1.0"]);
      const { id, layer_list } = images.inspect("umoci:1.0");
      const diffIds = layer_list.map(({ diff_id }) => diff_id);
      const seen = await listing(test, "umoci:1.0");
      assert(seen.includes("etc/more f 644") && !seen.includes("etc/link"), seen);
      const sources: [string, ImportSource][] = [
        ["oci.tar", { path: at("oci.tar") }],
        ["oci.tar.gz", { path: at("oci.tar.gz") }],
        ["oci.tar.zst", { stream: (await Deno.open(at("oci.tar.zst"))).readable }],
        ["docker.tar", { stream: (await Deno.open(at("docker.tar"))).readable }],
        ["docker.tar.gz", { path: at("docker.tar.gz") }],
        ["docker.tar.zst", { path: at("docker.tar.zst") }],
        ["zstd", { path: at("zstd") }],
      ];
      for (const [name, source] of sources) {
        const result = await images.import(source, { reference: `again:${name}` }, testOperation());
        // skopeo writes another config for Docker; the layers are the same, and so nothing is unpacked.
        assertEquals(result.images[0]!.layers_unpacked, 0, name);
        if (!name.startsWith("docker")) assertEquals(result.images[0]!.id, id, name);
        assertEquals(images.inspect(`again:${name}`).layer_list.map(({ diff_id }) => diff_id), diffIds, name);
      }
      await images.prune({ all: true }, testOperation());
      assertEquals(await test.check(), []);
      // Now each for itself, from nothing.
      for (const path of ["oci.tar", "docker.tar.zst", "zstd"].map(at)) {
        const result = await images.import({ path }, { reference: "fresh" }, testOperation());
        assertEquals(result.images[0]!.layers_unpacked, 3, path);
        assertEquals(await listing(test, "fresh"), seen, path);
        await images.prune({ all: true }, testOperation());
      }
      assertEquals(await test.check(), []);
    },
  );

  rootTest(
    `export gives back the bytes of the imported layers, in archives that skopeo copies (${storageDriver})`,
    async () => {
      await using test = await TestRuntime.open({ storageDriver });
      const { images } = test.runtime;
      await images.import({ path: await umociLayout(test.scratch.path) }, {}, testOperation());
      const { id, layer_list } = images.inspect("umoci:1.0");
      const seen = await listing(test, "umoci:1.0");
      for (const format of ["oci", "docker"] as const) {
        for (const compression of ["none", "gzip", "zstd"] as const) {
          const path = join(test.scratch.path, `${format}-${compression}.tar`);
          await Deno.writeFile(path, await images.export(["umoci:1.0"], { format, compression }, testOperation()));
          const source = `${format}-archive:${path}`;
          await skopeo("copy", "-q", source, `dir:${join(test.scratch.path, `${format}-${compression}`)}`);
          await using other = await TestRuntime.open({ storageDriver });
          await other.runtime.images.import({ path }, {}, testOperation());
          const again = other.runtime.images.inspect("umoci:1.0");
          assertEquals([again.id, again.layer_list.map(({ diff_id }) => diff_id)], [
            id,
            layer_list.map(({ diff_id }) => diff_id),
          ]);
          assertEquals(await listing(other, "umoci:1.0"), seen);
          if (compression !== "none") continue;
          const same = await new Response(
            await other.runtime.images.export(["umoci:1.0"], { format, compression }, testOperation()),
          ).bytes();
          assertEquals(sha256(same), sha256(await Deno.readFile(path)));
        }
      }
    },
  );

  rootTest(
    `a rootfs tar of GNU tar becomes an image, from a file or a stream, compressed or not (${storageDriver})`,
    async () => {
      await using test = await TestRuntime.open({ storageDriver });
      const { images } = test.runtime;
      const at = (name: string) => join(test.scratch.path, name);
      await Deno.mkdir(at("tree/etc"), { recursive: true });
      await Deno.writeTextFile(at("tree/etc/passwd"), "root\n");
      await commandOutput("tar", ["-C", at("tree"), "-cf", at("rootfs.tar"), "."]);
      await commandOutput("sh", ["-c", `gzip -k '${at("rootfs.tar")}' && zstd -q '${at("rootfs.tar")}'`]);
      const ids = new Set<string>();
      for (const name of ["rootfs.tar", "rootfs.tar.gz", "rootfs.tar.zst"]) {
        const sources = [{ path: at(name) }, { stream: (await Deno.open(at(name))).readable }, { path: at(name) }];
        for (const [i, source] of sources.entries()) {
          const result = await images.import(source, { reference: "base:1" }, testOperation());
          ids.add(result.images[0]!.id);
          assertEquals(result.images[0]!.already_present, ids.size === 1 && (i > 0 || name !== "rootfs.tar"), name);
        }
      }
      assertEquals(ids.size, 1);
      assert((await listing(test, "base:1")).includes("etc/passwd f"));
      const blob = await images.export(["base:1"], { format: "oci", compression: "none" }, testOperation());
      await blob.cancel();
      assertEquals(images.inspect("base:1").layer_list[0]!.diff_id, sha256(await Deno.readFile(at("rootfs.tar"))));
      await images.remove("base:1", { force: false }, testOperation());
      assertEquals(await test.check(), []);
    },
  );

  rootTest(`an import that is aborted at any moment leaves no file, row or directory (${storageDriver})`, async () => {
    await using test = await TestRuntime.open({ storageDriver });
    const layers = Array.from(
      { length: 12 },
      (_, i) =>
        tarOf(Object.fromEntries(Array.from({ length: 200 }, (_, j) => [`dir${i}/file${j}`, crypto.randomUUID()]))),
    );
    const bytes = stored(layoutOf(layers, "web:1").tar(), "gzip");
    await Deno.writeFile(join(test.scratch.path, "web.tar.gz"), bytes);
    const empty = await leftIn(test.root);
    for (const delay_ms of [0, 5, 20, 50, 90, 150, 250]) {
      const signal = AbortSignal.timeout(delay_ms);
      const keepAlive = setTimeout(() => {}, delay_ms + 50);
      const source = delay_ms % 20 === 0
        ? { path: join(test.scratch.path, "web.tar.gz") }
        : { stream: streamOfBytes(bytes) };
      try {
        await test.runtime.images.import(source, {}, { ...testOperation(), signal });
        await test.runtime.images.remove("web:1", { force: false }, testOperation());
      } catch (error) {
        if (!(error instanceof LaminaError) || error.code !== "DEADLINE_EXCEEDED") throw error;
      }
      clearTimeout(keepAlive);
      assertEquals(await leftIn(test.root), empty);
      assertEquals([test.runtime.images.list(), await test.check()], [[], []]);
    }
    await test.runtime.images.import({ path: join(test.scratch.path, "web.tar.gz") }, {}, testOperation());
    assertEquals(test.runtime.images.inspect("web:1").layer_list.length, 12);
  });
}

rootTest("layers that try to get out are refused by name and leave nothing", async () => {
  await using test = await TestRuntime.open();
  const good = tarOf({ "etc/": "", "etc/motd": "x" });
  const hostile: [string, Record<string, Entry>][] = [
    ["..", { "../escaped": "x" }],
    ["a link and through it", { "out": { symlink: "/tmp" }, "out/lamina-escaped": "x" }],
    ["a whiteout of nothing", { ".wh.": "" }],
    ["a whiteout of ..", { "etc/.wh...": "" }],
    ["a hard link out", { "passwd": { hardlink: "../../../../etc/passwd" } }],
  ];
  const empty = await leftIn(test.root);
  for (const [what, entries] of hostile) {
    const path = join(test.scratch.path, "hostile.tar");
    await Deno.writeFile(path, layoutOf([good, tarOf(entries)], "evil:1").tar());
    try {
      await test.runtime.images.import({ path }, {}, testOperation());
      // What is harmless inside the layer may be taken, as long as it stays inside.
      await test.runtime.images.remove("evil:1", { force: false }, testOperation());
    } catch (error) {
      if (!(error instanceof LaminaError) || error.code !== "INVALID_ARGUMENT") throw new Error(what, { cause: error });
    }
    for (const escaped of ["/tmp/lamina-escaped", "/tmp/escaped", join(test.scratch.path, "escaped")]) {
      await assertRejects(() => Deno.lstat(escaped), Deno.errors.NotFound);
    }
    assertEquals(await leftIn(test.root), empty, what);
  }
});

rootTest("limits of a layer hold in an import, and what was unpacked goes again", async () => {
  const limits = { layer: { maxEntries: 100, maxTar_bytes: 1 << 20 } };
  await using test = await TestRuntime.open({ limits });
  const good = tarOf({ "etc/motd": "x" });
  const many = tarOf(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`file${i}`, ""])));
  const bomb = tarOf({ "zeros": new Uint8Array(8 << 20) });
  const empty = await leftIn(test.root);
  for (const layer of [many, bomb]) {
    const path = join(test.scratch.path, "large.tar");
    await Deno.writeFile(path, layoutOf([good, layer, good], "large:1").tar());
    const error = await assertRejects(() => test.runtime.images.import({ path }, {}, testOperation()), LaminaError);
    assertEquals(error.code, "RESOURCE_EXHAUSTED", error.message);
    assertEquals([await leftIn(test.root), await test.check()], [empty, []]);
  }
});

rootTest("an import that fills the disk says so and gives the space back; removing works on a full disk", async () => {
  await using test = await TestRuntime.open();
  const small = join(test.scratch.path, "small");
  await Deno.mkdir(small);
  await commandOutput("mount", ["-t", "tmpfs", "-o", "size=24m", "small", small]);
  await using full = await TestRuntime.openAt(join(small, "root"), { storageDriver: "overlay" });
  const random = (size_bytes: number) => {
    const bytes = new Uint8Array(size_bytes);
    for (let at = 0; at < size_bytes; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    return bytes;
  };
  const at = (name: string) => join(test.scratch.path, name);
  await Deno.writeFile(at("fits.tar"), layoutOf([tarOf({ "fits": random(8 << 20) })], "fits:1").tar());
  const large = layoutOf([tarOf({ "one": random(6 << 20) }), tarOf({ "two": random(14 << 20) })], "large:1");
  await Deno.writeFile(at("large.tar"), large.tar());
  await full.runtime.images.import({ path: at("fits.tar") }, {}, testOperation());
  const before = await leftIn(join(small, "root"));
  for (const source of [{ path: at("large.tar") }, { stream: (await Deno.open(at("large.tar"))).readable }]) {
    const error = await assertRejects(() => full.runtime.images.import(source, {}, testOperation()), LaminaError);
    assertEquals(error.code, "RESOURCE_EXHAUSTED", error.message);
    assertEquals(await leftIn(join(small, "root")), before);
  }
  // To the last block.
  await commandOutput("sh", ["-c", `dd if=/dev/zero of='${small}/filler' bs=4k 2>/dev/null || true`]);
  const { deleted } = await full.runtime.images.remove("fits:1", { force: false }, testOperation());
  assertEquals(deleted.length, 2);
  await Deno.remove(join(small, "filler"));
  await full.runtime.images.import({ path: at("fits.tar") }, {}, testOperation());
  assertEquals(full.runtime.images.list().length, 1);
});

rootTest("120 layers are imported, mounted and exported in their order", async () => {
  await using test = await TestRuntime.open({ storageDriver: "overlay" });
  const layers = Array.from({ length: 120 }, (_, i) => tarOf({ "counter": `${i}`, [`layer${i}`]: "x" }));
  await Deno.writeFile(join(test.scratch.path, "deep.tar"), layoutOf(layers, "deep:1").tar());
  await test.runtime.images.import({ path: join(test.scratch.path, "deep.tar") }, {}, testOperation());
  assertEquals(test.runtime.images.inspect("deep:1").id, sha256(configOf(layers)));
  const { id, rootfs } = await test.create({ image: "deep:1" });
  await test.mount(id);
  assertEquals(await Deno.readTextFile(join(rootfs, "counter")), "119");
  assertEquals([...Deno.readDirSync(rootfs)].filter(({ name }) => name.startsWith("layer")).length, 120);
});

/** Every path below a root, except what a running database and emptied directories make of themselves. */
async function leftIn(root: string): Promise<string[]> {
  const list = await commandOutput("find", [root, "-mindepth", "1", "-printf", "%P\\n"]);
  return list.split("\n").filter((path) => path !== "" && !/^lamina\.db|^reserve/.test(path)).sort();
}
