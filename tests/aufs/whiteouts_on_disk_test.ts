import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { aufsFactory } from "../../drivers/storage/aufs/aufs_driver.ts";
import { aufsMount } from "../../drivers/storage/aufs/aufs_mounts.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { DriverFixture, type DriverSetup } from "../contract/support/driver_fixture.ts";
import { rootTest } from "../support/scratch.ts";

const mounter = new CommandMounter();

/** The names in the tree of the newest snapshot, with their types. */
async function newestTree(fixture: DriverFixture): Promise<string[]> {
  const layers = join(fixture.directory, "l");
  const ids = Array.from(Deno.readDirSync(layers), ({ name }) => name).sort((a, b) =>
    parseInt(a, 36) - parseInt(b, 36)
  );
  const tree = join(layers, ids.at(-1)!, "fs");
  const { stdout } = await runCommand("find", [tree, "-mindepth", "1", "-printf", "%P %y\n"]);
  return stdout.trim().split("\n").sort();
}

async function deleteAndReplace(setup: DriverSetup, use: (fixture: DriverFixture) => Promise<void>): Promise<void> {
  await using fixture = await DriverFixture.create(setup);
  await fixture.layer("base", undefined, async (root) => {
    await Deno.mkdir(join(root, "dir"));
    for (const name of ["file", "dir/below", "kept"]) await Deno.writeTextFile(join(root, name), name);
  });
  await fixture.prepare("work", "base");
  await fixture.edit("work", async (root) => {
    await Deno.remove(join(root, "file"));
    await Deno.remove(join(root, "dir"), { recursive: true });
    await Deno.mkdir(join(root, "dir"));
    await Deno.writeTextFile(join(root, "dir", "new"), "");
  });
  const changes = ["C /dir", "D /dir/below", "A /dir/new", "D /file"];
  // The same while fuse-overlayfs's own marks are there, and after they became the driver's.
  assertEquals(await fixture.changes("work"), changes);
  await fixture.commit("next", "work");
  assertEquals(await fixture.changes("next"), changes);
  await use(fixture);
}

rootTest("the aufs driver keeps AUFS's whiteouts on disk, not those of what stacks the layers", async () => {
  await deleteAndReplace({ factory: aufsFactory, mounter }, async (fixture) => {
    assertEquals(await newestTree(fixture), [".wh.file f", "dir d", "dir/.wh..wh..opq f", "dir/new f"]);
  });
});

rootTest("overlay by fuse-overlayfs leaves layers that the kernel's overlay reads, and the reverse", async () => {
  const options = { "overlay.mount_program": "fuse-overlayfs" };
  await deleteAndReplace({ factory: overlayFactory, mounter, options }, async (fixture) => {
    assertEquals(await newestTree(fixture), ["dir d", "dir/new f", "file c"]);
    const context = {
      directory: fixture.directory,
      store: fixture.store,
      engine: fixture.driver["engine" as keyof typeof fixture.driver] as never,
      mounter,
      options: { "overlay.mount_program": "kernel" },
    };
    await fixture.driver[Symbol.asyncDispose]();
    fixture.driver = await overlayFactory.open(context, fixture.operation);
    await fixture.driver.recover(fixture.operation);
    const names = await fixture.look("next", async (root) => {
      const { stdout } = await runCommand("find", [".", "-mindepth", "1"], { cwd: root });
      return stdout.trim().split("\n").sort();
    });
    assertEquals(names, ["./dir", "./dir/new", "./kept"]);
  });
});

rootTest("a snapshot that fuse-overlayfs shows is not committed or removed under it", async () => {
  await using fixture = await DriverFixture.create({ factory: aufsFactory, mounter });
  await fixture.layer("base", undefined, (root) => Deno.writeTextFile(join(root, "file"), ""));
  await fixture.prepare("work", "base");
  await fixture.edit("work", async () => {
    await assertFails("CONFLICT", () => fixture.commit("next", "work"));
    await assertFails("CONFLICT", () => fixture.remove("work"));
  });
  await fixture.commit("next", "work");
});

Deno.test("kernel aufs is given the layers with their whiteouts, the writable one first", () => {
  assertEquals(aufsMount({ source: "/l/9", lowers: ["/l/2/fs", "/l/1/fs"], upper: "/l/9/fs" }), {
    type: "aufs",
    source: "/l/9",
    target: "",
    options: ["br=/l/9/fs=rw:/l/2/fs=ro+wh:/l/1/fs=ro+wh", "dirperm1", "xino=/dev/shm/lamina-aufs.xino"],
  });
  assertEquals(aufsMount({ source: "/l/9", lowers: ["/l/2/fs", "/l/1/fs"] }).options[0], "ro");
  assertEquals(aufsMount({ source: "/l/9", lowers: ["/l/2/fs"] }).options, ["bind", "ro"]);
  assertEquals(aufsMount({ source: "/l/9", lowers: [], upper: "/l/9/fs" }).options, ["bind", "rw"]);
});

Deno.test("more branches than one mount of aufs takes are refused", () => {
  const lowers = Array.from({ length: 127 }, (_, i) => `/l/${i}/fs`);
  try {
    aufsMount({ source: "/l/x", lowers, upper: "/l/x/fs" });
  } catch (error) {
    if (error instanceof LaminaError && error.code === "UNSUPPORTED") return;
    throw error;
  }
  throw new Error("it was taken");
});
