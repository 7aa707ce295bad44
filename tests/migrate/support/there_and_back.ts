/** Everything moves to another driver and back again, through restarts. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import type { StorageDriverName } from "../../../drivers/storage/port.ts";
import { createRuntime } from "../../../runtime/runtime.ts";
import { filledRuntime, picture } from "./stage.ts";

/**
 * From overlay to `to` and back, on the scratch file system.
 *
 * @param storageOptions Of `to`.
 * @param retired Called when overlay has everything again: nothing of `to` is left.
 */
export async function thereAndBack(
  to: StorageDriverName,
  storageOptions: Record<string, string>,
  retired: (root: string) => Promise<void>,
): Promise<void> {
  await using test = await filledRuntime({ storageDriver: "auto", mounter: "libc" });
  const before = await picture(test);
  const { layers } = test.runtime.system.info();
  for (const target of [to, "overlay"] as const) {
    const request = { to: target, ...(target === to ? { storage_options: storageOptions } : {}) };
    const result = await test.runtime.system.migrate(request, test.operation);
    assertEquals([result.layers, result.containers, result.warning], [layers, 2, undefined]);
    assertEquals(await picture(test), before);
    assertEquals(await test.check({ deep: true }), []);
    assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), [target]);
    await test.runtime[Symbol.asyncDispose]();
    test.runtime = await createRuntime({ ...test.options, ...(target === to ? { storageOptions } : {}) });
    assertEquals(test.runtime.system.info().storage_driver, target);
    assertEquals(await picture(test), before);
  }
  await retired(test.root);
}
