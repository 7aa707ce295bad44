import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

rootTest(
  "a volume that somebody unmounts in a container's root comes back by itself, also after a restart",
  async () => {
    await using test = await TestRuntime.withImage();
    await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/data" }] });
    const { rootfs } = await test.mount("c");
    for (const again of [false, true]) {
      if (again) await test.restart();
      const deadline_ms = Date.now() + 30_000;
      await commandOutput("umount", [join(rootfs, "data")]);
      while ((await test.check()).length > 0 && Date.now() < deadline_ms) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assertEquals(await test.check(), []);
      assertEquals(await Deno.readTextFile(join(rootfs, "data/from-image")), "image\n");
    }
    await test.unmount("c");
    assertEquals(await test.check(), []);
  },
);
