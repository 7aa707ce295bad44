import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { bytesOf, makeVolume, refused, treePrint, writeRichTree } from "./support/volumes.ts";
import { placeOn } from "../claims/support/place.ts";

rootTest("where blocks cannot be shared a snapshot is refused, and made when a copy is asked for", async () => {
  await using test = await TestRuntime.open();
  const { volumes } = test.runtime;
  const { mountpoint } = await makeVolume(test, { name: "data" });
  await writeRichTree(mountpoint);
  const was = await treePrint(mountpoint);
  await refused("UNSUPPORTED", () => volumes.snapshot("data", { copy: false }, test.operation), "--copy");
  await refused(
    "UNSUPPORTED",
    () => volumes.clone("data", { name: "twin" }, { copy: false }, test.operation),
    "--copy",
  );
  assertEquals(volumes.list().map(({ name }) => name), ["data"]);
  const { method } = await volumes.snapshot("data", { name: "monday", copy: true }, test.operation);
  assertEquals(method, "copy");
  await Deno.writeTextFile(join(mountpoint, "plain"), "changed");
  await refused("ALREADY_EXISTS", () => volumes.snapshot("data", { name: "monday", copy: true }, test.operation));
  const clone = await volumes.clone("data", { name: "old", snapshot: "monday" }, { copy: true }, test.operation);
  assertEquals(await treePrint(clone.mountpoint), was);
  await refused("CONFLICT", () => volumes.remove("data", test.operation), "snapshots");
  await refused("NOT_FOUND", () => volumes.removeSnapshot("data", "tuesday", test.operation));
  await volumes.removeSnapshot("data", "monday", test.operation);
  await volumes.remove("data", test.operation);
  assertEquals(await test.check(), []);
});

for (const type of ["btrfs", "xfs"] as const) {
  rootTest(`on ${type} snapshots, clones and backups in use share blocks and show one state`, async () => {
    await using place = await placeOn(type);
    await using test = await TestRuntime.openAt(join(place.path, "root"));
    const { volumes } = test.runtime;
    await test.importImage("small:1", [{ "etc/": "" }]);
    const kinds: Array<Record<string, string>> = [{}, { size: "32m" }];
    for (const options of kinds) {
      const { name } = await makeVolume(test, { name: "data", options });
      await test.create({ name: "user", mounts: [{ type: "volume", source: name, target: "/v" }] });
      const { rootfs } = await test.mount("user");
      await writeRichTree(join(rootfs, "v"));
      const was = await treePrint(join(rootfs, "v"));
      assertEquals((await volumes.snapshot(name, { name: "monday", copy: false }, test.operation)).method, "shared");
      const { stream, consistency, warnings } = await volumes.backup(name, { compression: "none" }, test.operation);
      await Deno.writeTextFile(join(rootfs, "v/plain"), "changed");
      assertEquals(warnings, []);
      assertEquals(consistency, type === "btrfs" || options.size !== undefined ? "snapshot" : "copy");
      await volumes.restore("restored", streamOf(await bytesOf(stream)), { force: false }, test.operation);
      assertEquals(await treePrint(volumes.inspect("restored").mountpoint), was);
      const clone = await volumes.clone(name, { name: "old", snapshot: "monday" }, { copy: false }, test.operation);
      const path = await volumes.mount("old", "test", test.operation);
      assertEquals([clone.options, await treePrint(path)], [options, was]);
      await volumes.unmount("old", "test", test.operation);
      assertEquals(await test.check(), []);
      await test.unmount("user");
      await test.remove("user");
      await volumes.removeSnapshot(name, "monday", test.operation);
      for (const { name } of volumes.list()) await volumes.remove(name, test.operation);
    }
    assertEquals([...Deno.readDirSync(join(test.root, "volumes"))], []);
    assertEquals([...Deno.readDirSync(join(test.root, "staging"))], []);
    assertEquals(await test.check(), []);
  });
}

rootTest("a volume that nobody uses is renamed with its data; one in use, or to a taken name, is not", async () => {
  await using test = await TestRuntime.withImage();
  const { volumes } = test.runtime;
  const { mountpoint } = await makeVolume(test, { name: "data", labels: { a: "b" } });
  await Deno.writeTextFile(join(mountpoint, "x"), "x");
  await makeVolume(test, { name: "taken" });
  await refused("ALREADY_EXISTS", () => volumes.rename("data", "taken", test.operation));
  await refused("INVALID_ARGUMENT", () => volumes.rename("data", "../x", test.operation));
  await refused("NOT_FOUND", () => volumes.rename("absent", "new", test.operation));
  const renamed = await volumes.rename("data", "new", test.operation);
  assertEquals([renamed.name, renamed.labels], ["new", { a: "b" }]);
  assertEquals(await Deno.readTextFile(join(renamed.mountpoint, "x")), "x");
  await test.create({ name: "user", mounts: [{ type: "volume", source: "new", target: "/v" }] });
  await refused("CONFLICT", () => volumes.rename("new", "other", test.operation), '"user"');
  assertEquals(volumes.list().map(({ name }) => name), ["new", "taken"]);
  assertEquals(await test.check(), []);
});

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Response(bytes).body as ReadableStream<Uint8Array<ArrayBuffer>>;
}
