import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import zlib from "node:zlib";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { archive as tarOf } from "../layer/support/tar_builder.ts";
import {
  bytesOf,
  makeVolume,
  refused,
  streamOfBytes,
  treePrint,
  withVolume,
  writeRichTree,
} from "./support/volumes.ts";

const backup = async (test: TestRuntime, name: string, compression: "none" | "gzip" | "zstd" = "none") => {
  const { stream, ...facts } = await test.runtime.volumes.backup(name, { compression }, test.operation);
  return { bytes: await bytesOf(stream), ...facts };
};
const restore = (test: TestRuntime, name: string, bytes: Uint8Array<ArrayBuffer>, force = false) =>
  test.runtime.volumes.restore(name, streamOfBytes(bytes), { force }, test.operation);

rootTest("a backup keeps everything of every file, compressed or not, into a directory or an image", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await makeVolume(test, { name: "data" });
  await writeRichTree(mountpoint);
  const wanted = await treePrint(mountpoint);
  for (const compression of ["none", "gzip", "zstd"] as const) {
    const { bytes, consistency, warnings } = await backup(test, "data", compression);
    assertEquals([consistency, warnings], ["unused", []]);
    const { mountpoint } = await restore(test, `new-${compression}`, bytes);
    assertEquals(await treePrint(mountpoint), wanted, compression);
    assert((await Deno.stat(join(mountpoint, "plain"))).nlink === 2);
  }
  const { bytes } = await backup(test, "data");
  await makeVolume(test, { name: "sized", options: { size: "32m" } });
  await restore(test, "sized", bytes);
  await withVolume(test, "sized", async (path) => assertEquals(await treePrint(path), wanted));
  const again = await backup(test, "sized");
  await restore(test, "back", again.bytes);
  assertEquals(await treePrint(test.runtime.volumes.inspect("back").mountpoint), wanted);
  assertEquals(await test.check(), []);
});

rootTest("files of any size come back from a compressed backup", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await makeVolume(test, { name: "data" });
  for (const size_kib of [20, 50, 64, 130, 300]) {
    const random = new Uint8Array(size_kib << 10);
    for (let at = 0; at < random.length; at += 65_536) crypto.getRandomValues(random.subarray(at, at + 65_536));
    await Deno.writeFile(join(mountpoint, "file"), random);
    for (const compression of ["gzip", "zstd"] as const) {
      const { bytes } = await backup(test, "data", compression);
      const restored = await restore(test, `${compression}-${size_kib}`, bytes);
      assertEquals(await Deno.readFile(join(restored.mountpoint, "file")), random, `${compression}, ${size_kib} KiB`);
    }
  }
});

rootTest("what other programs wrote is restored as well", async () => {
  await using test = await TestRuntime.open();
  const source = test.hostDirectory("source");
  await writeRichTree(source);
  const tar = join(test.scratch.path, "a.tar");
  await commandOutput("tar", ["--xattrs", "--numeric-owner", "-S", "-C", source, "-cf", tar, "."]);
  const { mountpoint } = await restore(test, "data", await Deno.readFile(tar));
  assertEquals(await treePrint(mountpoint), await treePrint(source));
  // A sparse file stays sparse.
  assert((await Deno.stat(join(mountpoint, "sparse"))).blocks! < 100);
});

rootTest("a restore replaces everything in one step, and only when it is told to", async () => {
  await using test = await TestRuntime.withImage();
  const { mountpoint } = await makeVolume(test, { name: "data" });
  await Deno.writeTextFile(join(mountpoint, "old"), "old");
  const archive = tarOf([{ name: "new", data: "new" }]);
  await refused("CONFLICT", () => restore(test, "data", archive), "not empty");
  await test.create({ name: "user", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await refused("CONFLICT", () => restore(test, "data", archive), '"user"');
  await test.mount("user");
  await refused("CONFLICT", () => restore(test, "data", archive, true), "mounted");
  await test.unmount("user");
  assertEquals(await Deno.readTextFile(join(mountpoint, "old")), "old");
  await restore(test, "data", archive, true);
  assertEquals([...Deno.readDirSync(mountpoint)].map(({ name }) => name), ["new"]);
  assertEquals([...Deno.readDirSync(join(test.root, "volumes/data"))].map(({ name }) => name), ["_data"]);
  assertEquals(await test.check(), []);
});

rootTest("a truncated, damaged or hostile archive is refused, and nothing has changed", async () => {
  await using test = await TestRuntime.open();
  const { mountpoint } = await makeVolume(test, { name: "data" });
  await makeVolume(test, { name: "image", options: { size: "16m" } });
  await writeRichTree(mountpoint);
  const before = await treePrint(mountpoint);
  const { bytes: whole } = await backup(test, "data");
  const gzip = new Uint8Array(zlib.gzipSync(whole)), zstd = new Uint8Array(zlib.zstdCompressSync(whole));
  const outside = test.hostDirectory("outside");
  const cases: Array<[string, Uint8Array<ArrayBuffer>]> = [
    ["empty", new Uint8Array()],
    ["cut in a header", whole.slice(0, 700)],
    ["cut in a file", whole.slice(0, Math.floor(whole.length / 2))],
    ["cut before its end", whole.slice(0, lastEntryEnd(whole))],
    ["gzip cut", gzip.slice(0, gzip.length - 20)],
    ["zstd cut", zstd.slice(0, zstd.length - 20)],
    ["no tar", new TextEncoder().encode("hello ".repeat(2000))],
    ["bzip2", new TextEncoder().encode("BZh91AY&SY".repeat(200))],
    ["..", tarOf([{ name: "../../escape", data: "x" }])],
    ["a hard link out", tarOf([{ name: "h", type: "1", link: "../../../etc/passwd" }])],
  ];
  for (const [what, bytes] of cases) {
    for (const name of ["data", "image", "absent"]) {
      const error = await restore(test, name, bytes, true).then(() => undefined, (error) => error);
      assert(error !== undefined, `${what} into ${name} was accepted`);
      assert(["INVALID_ARGUMENT", "UNSUPPORTED"].includes(error.code), `${what}: ${error.code} ${error.message}`);
      if (name === "data") assertEquals(await treePrint(mountpoint), before, what);
    }
  }
  assertEquals([...Deno.readDirSync(outside)], []);
  assertEquals(await test.check(), []);
  assertEquals([...Deno.readDirSync(join(test.root, "staging"))], []);
});

rootTest("a link in an archive leads nowhere but into the volume", async () => {
  await using test = await TestRuntime.open();
  const outside = test.hostDirectory("outside");
  const bytes = tarOf([{ name: "l", type: "2", link: outside }, { name: "l/x", data: "x" }]);
  const error = await restore(test, "data", bytes).then(() => undefined, (error) => error);
  if (error !== undefined) assertEquals(error.code, "INVALID_ARGUMENT");
  assertEquals([...Deno.readDirSync(outside)], []);
  assertEquals(await test.check(), []);
});

rootTest("a restore that the disk cannot take is undone; one that is cancelled, too", async () => {
  await using test = await TestRuntime.open();
  await makeVolume(test, { name: "small", options: { size: "8m" } });
  await withVolume(test, "small", (path) => Deno.writeTextFile(join(path, "kept"), "kept"));
  const big = tarOf([{ name: "big", data: "x".repeat(20 << 20) }]);
  await refused("RESOURCE_EXHAUSTED", () => restore(test, "small", big, true));
  const aborting = new AbortController();
  const endless: ReadableStream<Uint8Array<ArrayBuffer>> = new ReadableStream({
    pull(controller) {
      controller.enqueue(big.slice(0, 65536));
      aborting.abort();
      return new Promise(() => {});
    },
  });
  const operation = { ...test.operation, signal: aborting.signal };
  const error = await test.runtime.volumes.restore("small", endless, { force: true }, operation).then(
    () => undefined,
    (error) => error,
  );
  assert(error !== undefined);
  await withVolume(test, "small", async (path) => assertEquals(await Deno.readTextFile(join(path, "kept")), "kept"));
  assertEquals(await test.check(), []);
});

rootTest("a backup of a volume in use says that it is live where nothing can be frozen", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "user", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await test.mount("user");
  const { consistency, warnings, bytes } = await backup(test, "data");
  assertEquals(consistency, "live");
  assertStringIncludes(warnings.join(), "in use (user)");
  assert(bytes.length >= 1024);
  // Given up on in its middle, it holds nothing.
  const { stream } = await test.runtime.volumes.backup("data", { compression: "zstd" }, test.operation);
  await stream.cancel();
  assertEquals(test.runtime.volumes.inspect("data").used_by, ["user"]);
});

/** Where the zeros at the end of an archive begin. */
function lastEntryEnd(tar: Uint8Array): number {
  let end = tar.length;
  while (end > 0 && tar[end - 1] === 0) end--;
  return Math.ceil(end / 512) * 512;
}
