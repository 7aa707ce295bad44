import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { ContainerRequest } from "../../runtime/core/model/container.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

const volume = { type: "volume" as const, source: "data", target: "/v" };

function createMounted(test: TestRuntime, spec: Partial<ContainerRequest> = {}, operation = test.operation) {
  return test.runtime.containers.create({ image: SMALL_IMAGE, ...spec }, operation, { mount: true });
}

for (const mounter of ["command", "libc"] as const) {
  rootTest(`a container is created and mounted in one call (${mounter})`, async () => {
    await using test = await TestRuntime.withImage({ mounter });
    const container = await createMounted(test, { name: "shop", mounts: [volume] });
    assertEquals(container.mounted, true);
    assertEquals(await Deno.readTextFile(join(container.rootfs, "etc/motd")), "hello\n");
    await Deno.writeTextFile(join(container.rootfs, "v/file"), "kept");
    assertEquals(await Deno.readTextFile(join(test.runtime.volumes.inspect("data").mountpoint, "file")), "kept");
    assertEquals(await test.check(), []);
    await test.restart();
    assertEquals(test.runtime.containers.list().map(({ mounted }) => mounted), [true]);
    await test.runtime.containers.remove("shop", { force: true, volumes: false }, test.operation);
    assertEquals(await test.check(), []);
  });
}

rootTest("fifty containers are created and mounted at once", async () => {
  await using test = await TestRuntime.withImage();
  const made = await Promise.all(Array.from({ length: 50 }, (_, i) => createMounted(test, { name: `c${i}` })));
  for (const { rootfs } of made) assert((await Deno.stat(join(rootfs, "etc/motd"))).isFile);
  assertEquals(await test.check(), []);
});

rootTest("a container whose root cannot be mounted was never created", async () => {
  await using test = await TestRuntime.withImage();
  const spec = { name: "shop", mounts: [{ ...volume, target: "/etc/motd" }] };
  const error = await assertRejects(() => createMounted(test, spec), LaminaError, "/etc/motd");
  assert(["CONFLICT", "INVALID_ARGUMENT"].includes(error.code), error.code);
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(await test.check(), []);
  await createMounted(test, { name: "shop" });
});

rootTest("a creation that is refused or given up leaves neither mount nor container", async () => {
  await using test = await TestRuntime.withImage();
  await createMounted(test, { name: "shop" });
  await assertRejects(() => createMounted(test, { name: "shop" }), LaminaError, "has that name");
  for (let delay_ms = 0; delay_ms < 6; delay_ms++) {
    const signal = AbortSignal.timeout(delay_ms);
    const outcome = await createMounted(test, { name: `late${delay_ms}` }, { ...test.operation, signal }).then(
      () => true,
      () => false,
    );
    const there = test.runtime.containers.list().find(({ name }) => name === `late${delay_ms}`);
    assertEquals(there?.mounted ?? false, outcome);
    assertEquals(there !== undefined, outcome);
  }
  assertEquals(await test.check(), []);
});

rootTest("removing a container waits until its creation has mounted it", async () => {
  await using test = await TestRuntime.withImage();
  const creating = createMounted(test, { name: "shop" });
  const deadline = Date.now() + 10_000;
  while (test.runtime.containers.list().length === 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await test.runtime.containers.remove("shop", { force: true, volumes: true }, test.operation);
  await creating.catch(() => {});
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(await test.check(), []);
});
