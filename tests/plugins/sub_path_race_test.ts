/** A subPath whose directory becomes a link to elsewhere at the very moment: what is outside is never seen or touched. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { isLaminaError } from "../../runtime/core/errors.ts";
import { openBeneath, openInRoot } from "../../runtime/host/rootfs_path.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

/** How long is waited for both outcomes, on a machine that may be busy. */
const PATIENCE_MS = 60_000;

/** A volume whose `sub` is now a directory with the file `file`, now a link to `outside`. */
async function swapped(test: TestRuntime) {
  const volume = test.hostDirectory("volume"), outside = test.hostDirectory("outside");
  Deno.mkdirSync(join(volume, "sub"));
  Deno.writeTextFileSync(join(volume, "sub/file"), "inside");
  Deno.writeTextFileSync(join(outside, "file"), "secret");
  Deno.symlinkSync(outside, join(volume, "link"));
  const worker = new Worker(new URL("./support/swapper.ts", import.meta.url), { type: "module" });
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  worker.onmessage = ({ data }) => (data === "begun" ? begun : ended).resolve();
  worker.postMessage({ one: join(volume, "sub"), other: join(volume, "link"), stop });
  await begun.promise;
  return {
    volume,
    outside,
    async [Symbol.asyncDispose]() {
      Atomics.store(stop, 0, 1);
      await ended.promise;
      worker.terminate();
    },
  };
}

/** Tries until `body` has come out well and badly, each several times. */
async function untilBoth(body: (i: number) => void | Promise<void>, times: number): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  let well = 0, refused = 0;
  for (let i = 0; well < times || refused < times; i++) {
    try {
      await body(i);
      well++;
    } catch (error) {
      // A link that leads out, or nothing there just now.
      if (!isLaminaError(error, "INVALID_ARGUMENT", "NOT_FOUND", "CONFLICT")) throw error;
      refused++;
    }
    if (performance.now() > end) throw new Error(`only one outcome within ${PATIENCE_MS} ms: ${well}, ${refused}`);
  }
}

rootTest("what is opened beneath a volume lies in it, and what is made there, too, however it is swapped", async () => {
  await using test = await TestRuntime.open();
  await using race = await swapped(test);
  await untilBoth(() => {
    using opened = openBeneath(race.volume, "sub/file");
    assertEquals(Deno.readTextFileSync(opened.procPath), "inside");
  }, 200);
  for (let i = 0; i < 500; i++) {
    try {
      openInRoot(race.volume, `sub/made${i}/deep`, { create: "directory" })[Symbol.dispose]();
    } catch (error) {
      if (!isLaminaError(error, "INVALID_ARGUMENT", "NOT_FOUND", "CONFLICT")) throw error;
    }
  }
  assertEquals([...Deno.readDirSync(race.outside)].map(({ name }) => name), ["file"]);
});

rootTest("a container is given what its subPath is in the volume, or nothing, however it is swapped", async () => {
  await using test = await TestRuntime.withImage();
  await using race = await swapped(test);
  const mounts = [{ type: "bind", source: race.volume, target: "/v", subpath: "sub" } as const];
  await untilBoth(async (i) => {
    const name = `try${i}`;
    try {
      await test.create({ name, mounts });
      const { rootfs } = await test.mount(name);
      assertEquals(Deno.readTextFileSync(join(rootfs, "v/file")), "inside");
    } finally {
      await test.remove(name, { force: true }).catch((error) => {
        if (!isLaminaError(error, "NOT_FOUND")) throw error;
      });
    }
  }, 10);
  assertEquals(Deno.readTextFileSync(join(race.outside, "file")), "secret");
  assertEquals(await test.check(), []);
});
