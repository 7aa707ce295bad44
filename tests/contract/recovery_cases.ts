/** What a crash, a full disk or a person may leave, and what becomes of it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { mountAt } from "../../runtime/core/mount.ts";
import { Store } from "../../runtime/store/store.ts";
import type { Finding } from "../../drivers/storage/port.ts";
import { assertFails, type ContractCase } from "./support/contract_case.ts";
import { sharedEngine } from "./support/engine.ts";
import { type DriverFixture, keyOf } from "./support/driver_fixture.ts";

/** See the head of the file. */
export const recoveryCases: readonly ContractCase[] = [
  {
    name: "after a removal nothing is left on the disk",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(join(root, "x"), "x"));
      await f.prepare("work", "base");
      await f.remove("work");
      await f.remove("base");
      await f.driver.cleanup(f.operation);
      await f.driver.cleanup(f.operation);
      assertEquals(await f.leftovers(), []);
      assertEquals(await check(f), []);
    },
  },
  {
    name: "a start removes directories that no row owns, and only those in its own directory",
    needs: "directories",
    async run(f) {
      await f.layer("kept", undefined, (root) => Deno.writeTextFile(join(root, "x"), "x"));
      await Deno.mkdir(join(f.directory, "l", "zz", "fs"), { recursive: true });
      await Deno.writeTextFile(join(f.directory, "l", "zz", "fs", "half"), "written");
      await Deno.mkdir(join(f.directory, "trash", "1-thrown-away", "fs"), { recursive: true });
      await Deno.writeTextFile(join(f.directory, "l", "notes.txt"), "a person's");
      await Deno.writeTextFile(join(f.directory, "..", "beside"), "not ours");
      await f.restart();
      await f.driver.cleanup(f.operation);
      const left = await f.leftovers();
      assertEquals(left.filter((path) => !path.startsWith("l/")), []);
      assertEquals(left.length, 2, String(left));
      assert(left.includes("l/notes.txt"));
      assertEquals(await Deno.readTextFile(join(f.directory, "..", "beside")), "not ours");
      await f.look("kept", async (root) => assertEquals(await Deno.readTextFile(join(root, "x")), "x"));
    },
  },
  {
    name: "a crash between the row's removal and the directory's is finished at the next start",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(join(root, "x"), "x"));
      await f.prepare("work", "base");
      await f.store.write((tx) => tx.run("DELETE FROM snapshots WHERE key = 'work'"));
      await f.restart();
      await f.driver.cleanup(f.operation);
      assertEquals((await f.leftovers()).length, 1);
      await f.prepare("work", "base");
      assertEquals(await check(f), []);
    },
  },
  {
    name: "a start with another database deletes nothing and says what is wrong",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(join(root, "precious"), "x"));
      await f.driver.cleanup(f.operation);
      const before = await f.leftovers();
      await f.driver[Symbol.asyncDispose]();
      using store = new Store(join(f.scratch.path, "new.db"));
      const context = {
        directory: f.directory,
        store,
        engine: sharedEngine(),
        mounter: f.setup.mounter,
        options: f.setup.options ?? {},
      };
      await using driver = await f.setup.factory.open(context, f.operation);
      const error = await assertFails("DATA_LOSS", () => driver.recover(f.operation));
      assertStringIncludes(error.message, "Restore it from a backup");
      await driver.cleanup(f.operation);
      assertEquals(await f.leftovers(), before);
      await f.restart();
      await f.look("base", async (root) => assertEquals(await Deno.readTextFile(join(root, "precious")), "x"));
    },
  },
  {
    name: "check tells an orphan from what is being made, and repair removes it",
    async run(f) {
      await f.prepare("a");
      const orphan = await f.backing.makeOrphan(f);
      const [found, ...more] = await check(f);
      assertEquals([found?.kind, found?.object, found?.repairable, more], [
        `orphan-${f.backing.noun}`,
        orphan,
        true,
        [],
      ]);
      assertEquals((await f.driver.check({ repair: true }, f.operation)).length, 1);
      assertEquals(await check(f), []);
      assertEquals((await f.leftovers()).length, 1);
      // While operations run, what they make is nobody's leftover.
      const work = Promise.all(
        Array.from({ length: 20 }, (_, i) => f.prepare(`busy${i}`).then(() => f.remove(`busy${i}`))),
      );
      for (let i = 0; i < 5; i++) assertEquals(await check(f), []);
      await work;
    },
  },
  {
    name: "check reports a tree that is gone, and the snapshot can still be removed",
    async run(f) {
      await f.layer("base", undefined, () => {});
      await f.backing.lose(f, f.idOf("base"));
      const [found] = await check(f);
      assertEquals([found?.kind, found?.repairable], [`missing-${f.backing.noun}`, false]);
      assertStringIncludes(found!.message, '"base"');
      assertEquals((await f.driver.check({ repair: true }, f.operation)).length, 1);
      await f.remove("base");
      assertEquals(await check(f), []);
    },
  },
  {
    name: "check reports a file that Lamina did not make, and leaves it alone",
    async run(f) {
      const stranger = await f.backing.makeStranger(f);
      const [found] = await f.driver.check({ repair: true }, f.operation);
      assertEquals([found?.kind, found?.object, found?.repairable], ["unknown-file", stranger, false]);
      assertEquals((await check(f)).length, 1);
    },
  },
  {
    name: "a mount of a snapshot that is gone is stale, and repair takes it away",
    async run(f) {
      await f.layer("base", undefined, () => {});
      const mounts = await f.prepare("work", "base");
      const target = join(f.scratch.path, "stale");
      await Deno.mkdir(target);
      await f.setup.mounter.mount(mounts.map((mount) => mountAt(mount, target)), f.operation);
      assertEquals(await check(f), []);
      await f.store.write((tx) => tx.run("DELETE FROM snapshots WHERE key = 'work'"));
      const found = await f.driver.check({ repair: true }, f.operation);
      assertEquals(found.map(({ kind }) => kind).sort(), [`orphan-${f.backing.noun}`, "stale-mount"]);
      assert(found.some(({ object }) => object === target));
      assertEquals(await check(f), []);
      assertEquals((await f.leftovers()).length, 1);
    },
  },
  {
    name: "removal never crosses a mount point",
    needs: "directories",
    async run(f) {
      await f.prepare("work");
      const precious = join(f.scratch.path, "precious");
      await Deno.mkdir(precious);
      await Deno.writeTextFile(join(precious, "data"), "kept");
      // Somebody mounted into the tree behind our back.
      const inside = join(f.directory, (await f.leftovers())[0]!, "fs", "inside");
      await Deno.mkdir(inside);
      const bind = { type: "bind", source: precious, target: inside, options: ["bind"] };
      await f.setup.mounter.mount([bind], f.operation);
      await f.remove("work");
      await assertFails("CONFLICT", () => f.driver.cleanup(f.operation));
      assertEquals(await Deno.readTextFile(join(precious, "data")), "kept");
      const [found] = await check(f);
      assertEquals([found?.kind, found?.repairable], ["undeleted-directory", true]);
      const moved = join(
        f.directory,
        "trash",
        (await Array.fromAsync(Deno.readDir(join(f.directory, "trash"))))[0]!.name,
      );
      await f.setup.mounter.unmount([join(moved, "fs", "inside")], f.operation);
      assertEquals((await f.driver.check({ repair: true }, f.operation)).length, 1);
      assertEquals(await check(f), []);
      assertEquals(await f.leftovers(), []);
    },
  },
  {
    name: "a tree that cannot be made leaves no row",
    async run(f) {
      await f.prepare("a");
      const [{ seq }] = f.store.all<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'") as [
        { seq: number },
      ];
      const unblock = await f.backing.block(f, seq + 1);
      await assertFails("ALREADY_EXISTS", () => f.prepare("b"));
      assertEquals(await f.keys(), ["a"]);
      await unblock();
      await f.prepare("b");
      assertEquals((await f.stat("b")).key, keyOf("b"));
    },
  },
];

async function check(f: DriverFixture): Promise<Finding[]> {
  return await f.driver.check({ repair: false }, f.operation);
}
