import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { isMounted } from "../../runtime/host/mount_table.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const tmpfs = (target: string) => commandOutput("mount", ["-t", "tmpfs", "foreign", target]);

for (const storageDriver of ["overlay", "vfs"]) {
  rootTest(`what somebody else mounts in the place of a root of ${storageDriver} is named and left alone`, async () => {
    await using test = await TestRuntime.withImage({ storageDriver });
    const { rootfs } = await test.create({ name: "c" });
    await Deno.mkdir(rootfs, { recursive: true });
    await tmpfs(rootfs);
    for (const verb of [() => test.mount("c"), () => test.unmount("c")]) {
      const error = await assertRejects(verb, LaminaError);
      assertEquals(error.code, "CONFLICT");
      assertStringIncludes(error.message, `somebody else has mounted foreign (tmpfs) at ${rootfs}`);
    }
    const findings = await test.check({ repair: true });
    assertEquals(findings, [`foreign-mount ${rootfs.replace(test.root, "ROOT")}`]);
    // A start does not take it away either.
    await test.restart();
    assertEquals(isMounted(rootfs), true);
    await commandOutput("umount", [rootfs]);
    assertEquals(await test.check(), []);

    // Over a root that is mounted; the next process knows its own by what it shows.
    await test.mount("c");
    await test.restart();
    await tmpfs(rootfs);
    assertEquals((await assertRejects(() => test.unmount("c"), LaminaError)).code, "CONFLICT");
    assertEquals(await test.check(), [`foreign-mount ${rootfs.replace(test.root, "ROOT")}`]);
    await commandOutput("umount", [rootfs]);
    assertEquals(await test.check(), []);
    await test.unmount("c");

    // Asked for by name, everything goes.
    await test.mount("c");
    await tmpfs(rootfs);
    await test.runtime.containers.unmount("c", { lazy: true }, test.operation);
    assertEquals(isMounted(rootfs), false);
    assertEquals(await test.check(), []);
  });
}

rootTest("what somebody else mounts over a layer is found, named, and left alone", async () => {
  await using test = await TestRuntime.withImage({ storageDriver: "overlay" });
  const layers = join(test.root, "drivers/overlay/l");
  const [layer] = [...Deno.readDirSync(layers)].map(({ name }) => join(layers, name, "fs"));
  await tmpfs(layer!);
  assertEquals(await test.check({ repair: true }), [`foreign-mount ${layer!.replace(test.root, "ROOT")}`]);
  assertEquals(isMounted(layer!), true);
  await commandOutput("umount", [layer!]);
  assertEquals(await test.check(), []);
});
