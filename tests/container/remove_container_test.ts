import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { VolumeCreate } from "../../runtime/core/specs/volume.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const volume = (source: string, target = `/${source.slice(0, 20)}`) => ({ type: "volume" as const, source, target });

rootTest("a mounted container is removed only by force, and then whoever is still in there", async () => {
  await using test = await TestRuntime.withImage();
  const source = test.hostDirectory("host");
  await Deno.writeTextFile(join(source, "keep"), "keep");
  await test.create({ name: "c", mounts: [volume("data"), { type: "bind", source, target: "/h" }] });
  const { rootfs } = await test.mount("c");
  const error = await assertRejects(() => test.remove("c"), LaminaError, "mounted");
  assertEquals(error.code, "CONFLICT");
  using _busy = await Deno.open(join(rootfs, "etc/motd"));
  await test.remove("c", { force: true, volumes: true });
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(test.runtime.volumes.list().map(({ name }) => name), ["data"]);
  assertEquals(await Deno.readTextFile(join(source, "keep")), "keep");
  assertEquals(await test.check(), []);
  const again = await assertRejects(() => test.remove("c"), LaminaError);
  assertEquals(again.code, "NOT_FOUND");
});

rootTest("only anonymous volumes that nobody else has go with their container, and only when asked for", async () => {
  await using test = await TestRuntime.withImage();
  const anonymous = async () => (await test.runtime.volumes.create(VolumeCreate.parse({}), test.operation)).name;
  const [kept, shared, alone] = [await anonymous(), await anonymous(), await anonymous()];
  await test.create({ name: "first", mounts: [volume(kept), volume("named")] });
  await test.create({ name: "second", mounts: [volume(shared), volume(alone), volume("named")] });
  await test.create({ name: "third", mounts: [volume(shared)] });
  await test.remove("first");
  assertEquals((await test.remove("second", { volumes: true })).deleted.slice(1), [alone]);
  assertEquals(test.runtime.volumes.list().map(({ name }) => name).sort(), [kept, shared, "named"].sort());
  await test.remove("third", { volumes: true });
  assertEquals(test.runtime.volumes.list().map(({ name }) => name).sort(), [kept, "named"].sort());
  assertEquals(await test.check(), []);
});

rootTest("a container with auto_remove goes when it is unmounted, with its anonymous volumes", async () => {
  await using test = await TestRuntime.withImage();
  const { name } = await test.runtime.volumes.create(VolumeCreate.parse({}), test.operation);
  await test.create({ name: "c", auto_remove: true, mounts: [volume(name), volume("named")] });
  await test.mount("c");
  await test.unmount("c");
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(test.runtime.volumes.list().map((v) => v.name), ["named"]);
});

rootTest("what somebody put under an unmounted root stays and is reported", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c" });
  const { rootfs } = await test.mount("c");
  await test.unmount("c");
  await Deno.writeTextFile(join(rootfs, "stray"), "somebody's");
  await test.remove("c");
  const findings = await test.check({ repair: true });
  assertEquals(findings.length, 1);
  assert(findings[0]!.startsWith("orphan-directory"));
  assertEquals(await Deno.readTextFile(join(rootfs, "stray")), "somebody's");
});

rootTest("many containers come and go at the same time without a trace", async () => {
  await using test = await TestRuntime.withImage();
  await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const name = `c${i}`;
    await test.create({ name, mounts: i % 2 === 0 ? [volume("shared")] : [] });
    await test.mount(name);
    if (i % 3 === 0) await test.remove(name, { force: true });
    else {
      await test.unmount(name);
      await test.remove(name);
    }
  }));
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(await test.check(), []);
});
