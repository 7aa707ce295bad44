import { assert, assertEquals, assertRejects } from "@std/assert";
import { basename, join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import { rootTest, type ScratchDirectory, scratchDirectory } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

/** An ext4 of 24 MiB without a reserve for root, mounted in a scratch directory. */
async function smallDisk(): Promise<ScratchDirectory> {
  const scratch = await scratchDirectory();
  const image = join(scratch.path, "image");
  const path = join(scratch.path, "disk");
  await Deno.mkdir(path);
  await commandOutput("truncate", ["-s", "24M", image]);
  await commandOutput("mkfs.ext4", ["-q", "-F", "-m", "0", image]);
  await commandOutput("mount", ["-o", "loop,errors=remount-ro", image, path]);
  return { path, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
}

/** Leaves no block and no inode's worth of space. */
function fill(directory: string): void {
  for (let size = 1 << 20; size >= 512; size >>= 1) {
    for (let i = 0;; i++) {
      try {
        Deno.writeFileSync(join(directory, `fill${size}-${i}`), new Uint8Array(size));
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOSPC") break;
        throw error;
      }
    }
  }
}

rootTest("on a full disk nothing is made, with a clear error, and everything can still be deleted", async () => {
  await using disk = await smallDisk();
  await using test = await TestRuntime.withImage({ root: join(disk.path, "root") });
  const mounts = [{ type: "volume" as const, source: "data", target: "/v" }];
  await test.create({ name: "mounted", mounts });
  await test.create({ name: "plain" });
  await test.mount("mounted");
  fill(disk.path);

  for (
    const make of [
      () => test.create({ name: "more", mounts: [{ ...mounts[0]!, source: "another" }] }),
      () => test.importImage("big:1", [{ "big": "copy of /bin/busybox" }]),
    ]
  ) {
    const error = await assertRejects(make, LaminaError);
    assertEquals(error.code, "RESOURCE_EXHAUSTED", error.message);
  }
  assertEquals(test.runtime.volumes.list().map(({ name }) => name), ["data"]);
  // The mount point needs a block of its own: either it is mounted and noted, or neither.
  const mounting = await Promise.allSettled([test.mount("plain")]);
  const { mounted } = await test.runtime.containers.inspect("plain", { size: false }, test.operation);
  assertEquals(mounted, mounting[0].status === "fulfilled");
  if (mounting[0].status === "rejected") assertEquals(mounting[0].reason.code, "RESOURCE_EXHAUSTED");
  assertEquals(await test.check(), []);

  await test.restart();
  fill(disk.path);
  await test.unmount("mounted");
  await test.remove("mounted", { volumes: true });
  await test.remove("plain", { force: true });
  await test.runtime.volumes.remove("data", test.operation);
  await test.runtime.images.prune({ all: true }, test.operation);
  assertEquals(test.runtime.system.info().layers, 0);
  assertEquals(await test.check(), []);

  for (const { name } of Deno.readDirSync(disk.path)) {
    if (name.startsWith("fill")) Deno.removeSync(join(disk.path, name));
  }
  await test.importImage("again:1", [{ "x": "x" }]);
  await test.create({ image: "again:1", mounts });
  assertEquals(await test.check(), []);
});

rootTest("a root on a read-only disk is refused, and opens when the disk is writable again", async () => {
  await using disk = await smallDisk();
  const root = join(disk.path, "root");
  {
    await using test = await TestRuntime.withImage({ root });
    await test.create({ name: "c" });
  }
  await commandOutput("mount", ["-o", "remount,ro", disk.path]);
  const refused = await assertRejects(() => createRuntime({ root }), LaminaError);
  assertEquals(refused.code, "UNAVAILABLE", refused.message);
  await commandOutput("mount", ["-o", "remount,rw", disk.path]);
  await using runtime = await createRuntime({ root });
  assertEquals(runtime.containers.list().length, 1);
});

rootTest("a disk that becomes read-only under a running daemon fails its calls and loses nothing", async () => {
  await using disk = await smallDisk();
  const root = join(disk.path, "root");
  {
    await using test = await TestRuntime.withImage({ root });
    await test.create({ name: "c" });
    await commandOutput("sync", ["-f", disk.path]);
    const device = readMountTable().find(({ target }) => target === disk.path)!.source;
    // As the kernel does when the disk fails.
    await Deno.writeTextFile(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, "1");
    for (
      const call of [
        () => test.create({ name: "d" }),
        () => test.remove("c"),
        () => test.importImage("x:1", [{ x: "" }]),
      ]
    ) {
      const error = await assertRejects(call, LaminaError);
      assert(["UNAVAILABLE", "DATA_LOSS"].includes(error.code), `${error.code} ${error.message}`);
    }
    assertEquals(test.runtime.containers.list().map(({ name }) => name), ["c"]);
    await test.runtime[Symbol.asyncDispose]();
    await commandOutput("umount", [disk.path]);
    await runCommand("e2fsck", ["-fy", join(disk.path, "../image")]);
    await commandOutput("mount", ["-o", "loop", join(disk.path, "../image"), disk.path]);
    await test.reopen();
    assertEquals(test.runtime.containers.list().map(({ name }) => name), ["c"]);
    assertEquals(await test.check(), []);
  }
});

rootTest("a root without permission is refused with a clear error", async () => {
  await using scratch = await scratchDirectory();
  const forbidden = join(scratch.path, "forbidden");
  await Deno.mkdir(forbidden, { mode: 0o700 });
  await Deno.chown(forbidden, 65534, 65534);
  const script = `
    import { createRuntime } from ${JSON.stringify(new URL("../../runtime/runtime.ts", import.meta.url).href)};
    try { await createRuntime({ root: ${JSON.stringify(join(forbidden, "root"))} }); }
    catch (error) { console.log(error.code, error.message); }`;
  // Root that the file permissions hold for.
  const said = await commandOutput("setpriv", [
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-all",
    Deno.execPath(),
    "eval",
    "--no-lock",
    script,
  ]);
  assert(said.startsWith("PERMISSION_DENIED") && said.includes(forbidden), said);
});
