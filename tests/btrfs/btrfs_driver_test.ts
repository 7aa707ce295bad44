import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { btrfsFactory } from "../../drivers/storage/btrfs/btrfs_driver.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { byteStringFromText } from "../../runtime/core/bytes.ts";
import { isReadOnlySubvolume, withDirectory } from "../../runtime/host/btrfs_calls.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { directoryOf } from "../contract/support/backing.ts";
import { keyOf } from "../contract/support/driver_fixture.ts";
import { printTree } from "../contract/support/tree_print.ts";
import { shell } from "../contract/tree_cases.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { btrfsTest, freed, subvolumes } from "./support.ts";

btrfsTest(
  "subvolumes that somebody made in a container become directories of its layer, and nothing of them is left",
  async (f, mountPoint) => {
    await f.layer("base", undefined, (root) => shell(root, "echo base > base").then());
    await f.prepare("work", "base");
    await f.edit("work", (root) =>
      shell(
        root,
        `btrfs -q subvolume create var; mkdir var/dir; btrfs -q subvolume create var/dir/inner; echo 1 > var/dir/inner/f
       echo 2 > var/g; chmod 1777 var; ln var/g var/h; btrfs -q subvolume snapshot -r var/dir/inner kept
       name=$(printf 'odd \\377 name'); btrfs -q subvolume create "$name"; echo 3 > "$name/x"`,
      ).then());
    assertEquals((await f.changes("work")).length, 10);
    await f.commit("layer", "work");
    await f.mounted(await f.prepare("child", "layer"), async (root) => {
      const tree = printTree(root);
      assertEquals(tree.get("/var"), "directory 1777 0:0");
      assertMatch(tree.get("/var/h")!, /same as/);
      assertEquals(
        await Deno.readTextFile(`${root}/var/dir/inner/f`) + await Deno.readTextFile(`${root}/kept/f`),
        "1\n1\n",
      );
      assertEquals(tree.size, 12);
      await shell(root, "rm -r var; echo 4 > kept/more");
    });
    assertEquals(await f.changes("child"), ["C /kept", "A /kept/more", "D /var"]);
    assertEquals((await f.changes("layer")).length, 10);
    assertEquals((await subvolumes(mountPoint)).length, 3);
    for (const key of ["child", "layer", "base"]) await f.remove(key);
    await f.driver.cleanup(f.operation);
    assertEquals(await subvolumes(mountPoint), []);
  },
);

btrfsTest(
  "a container's own subvolumes go with it, read-only ones and those inside them included",
  async (f, mountPoint) => {
    await f.prepare("work");
    await f.edit("work", (root) =>
      shell(
        root,
        "btrfs -q subvolume create a; btrfs -q subvolume create a/b; btrfs -q subvolume create a/b/c; echo x > a/b/c/x\n" +
          "btrfs property set a/b ro true; btrfs property set a ro true; btrfs -q subvolume snapshot -r a s",
      ).then());
    assertEquals((await subvolumes(mountPoint)).length, 5);
    await f.remove("work");
    await f.driver.cleanup(f.operation);
    assertEquals(await subvolumes(mountPoint), []);
    assertEquals(await f.leftovers(), []);
  },
);

btrfsTest(
  "an active snapshot that a crash left sealed is writable again after the next start, a layer is sealed",
  async (f) => {
    await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
    await f.prepare("work", "base");
    const tree = (key: string) => `${directoryOf(f, f.idOf(key))}/fs`;
    await commandOutput("btrfs", ["property", "set", "-ts", tree("work"), "ro", "true"]);
    await commandOutput("btrfs", ["property", "set", "-ts", tree("base"), "ro", "false"]);
    const [found] = await f.driver.check({ repair: false }, f.operation);
    assertEquals([found?.kind, found?.repairable], ["writable-subvolume", true]);
    await f.restart();
    await f.edit("work", (root) => Deno.writeTextFile(`${root}/y`, "y"));
    assert(await withDirectory(byteStringFromText(tree("base")), isReadOnlySubvolume));
    assertEquals(await f.driver.check({ repair: false }, f.operation), []);
  },
);

btrfsTest("a commit that fails leaves the snapshot writable", async (f) => {
  await f.prepare("work");
  const controller = new AbortController();
  const operation = { ...f.operation, signal: controller.signal };
  // Between the sealing and the row: measuring is what the abort hits.
  const committing = f.driver.commit(keyOf("layer"), keyOf("work"), {}, operation);
  queueMicrotask(() => controller.abort());
  await assertRejects(() => committing);
  await f.edit("work", (root) => Deno.writeTextFile(`${root}/x`, "x"));
  await f.commit("layer", "work");
});

btrfsTest("a root works in any subdirectory, below a subvolume, too", async (f, mountPoint) => {
  await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
  await f.mounted(await f.prepare("work", "base"), async (root) => {
    assertEquals(await Deno.readTextFile(`${root}/x`), "x\n");
    await assertFails("CONFLICT", () => f.remove("work"));
  });
  await f.remove("work");
  await f.remove("base");
  await f.driver.cleanup(f.operation);
  assertEquals(await subvolumes(mountPoint), ["somebody's"]);
}, {
  async place(mountPoint) {
    await commandOutput("btrfs", ["subvolume", "create", `${mountPoint}/somebody's`]);
    await Deno.mkdir(`${mountPoint}/somebody's/deep/er`, { recursive: true });
    return `${mountPoint}/somebody's/deep/er`;
  },
});

btrfsTest("a file system that turned read-only is named, and nothing is half there", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
  await commandOutput("mount", ["--bind", f.directory, f.directory]);
  await commandOutput("mount", ["-o", "remount,bind,ro", f.directory]);
  const probe = await btrfsFactory.probe({ directory: f.directory, options: {} }, f.operation);
  assertEquals([probe.supported, probe.reasons], [false, ["the file system is mounted read-only"]]);
  assertStringIncludes((await assertFails("UNAVAILABLE", () => f.prepare("work", "base"))).message, "read-only");
  await commandOutput("umount", [f.directory]);
  await f.prepare("work", "base");
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});

btrfsTest(
  "on a full file system a container can still be deleted, which gives its space back",
  async (f, mountPoint) => {
    await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
    await f.prepare("hog", "base");
    await f.edit(
      "hog",
      (root) => shell(root, "! dd if=/dev/zero of=big bs=1M 2> /dev/null").then(),
    );
    const free = async () => Number((await commandOutput("stat", ["-f", "-c", "%a", mountPoint])).trim());
    assertEquals(await free(), 0);
    await f.remove("hog");
    await f.driver.cleanup(f.operation);
    await freed(mountPoint);
    assert(await free() > 50_000);
    await f.prepare("again", "base");
  },
);

rootTest("elsewhere than on btrfs the probe says what is needed", async () => {
  await using scratch = await scratchDirectory();
  const operation = { signal: AbortSignal.timeout(120_000), progress: () => {} };
  const probe = await btrfsFactory.probe({ directory: scratch.path, options: {} }, operation);
  assertEquals(probe.supported, false);
  assertMatch(probe.reasons[0]!, /lies on (ext4|tmpfs).*btrfs-progs/);
  assertEquals(probe.needs?.[0], { fileSystem: "btrfs", package: "btrfs-progs" });
});
