import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { zfsFactory } from "../../drivers/storage/zfs/zfs_driver.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { Store } from "../../runtime/store/store.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { DriverFixture, keyOf } from "../contract/support/driver_fixture.ts";
import { sharedEngine } from "../contract/support/engine.ts";
import { bytesOfStream, digestOf } from "../contract/support/layer_archives.ts";
import { shell } from "../contract/tree_cases.ts";
import { rootTest, testOperation } from "../support/scratch.ts";
import { baseOf, makePool, zfsSetup } from "./support.ts";

const MIB = 1 << 20;

/** A test on a pool of its own. */
function zfsTest(name: string, body: (f: DriverFixture, pool: string) => Promise<void>): void {
  rootTest(name, async () => {
    await using pool = await makePool();
    await using f = await DriverFixture.create(zfsSetup(pool));
    await body(f, pool.name);
  });
}

zfsTest("a container writes up to its size, whatever its image takes, and can get more", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "head -c 20M /dev/urandom > image").then());
  await f.driver.prepare(keyOf("work"), keyOf("base"), { size_bytes: 8 * MIB }, f.operation);
  await f.edit("work", async (root) => {
    assertMatch(await shell(root, "df -B1 --output=avail . | tail -1"), /^\s*8\d{6}\s*$/);
    assertMatch(await tooMuch(root, "30M"), /quota/i);
  });
  await f.driver.setLimit(keyOf("work"), 40 * MIB, f.operation);
  await f.edit("work", (root) => shell(root, "head -c 15M /dev/urandom > more; sync").then());
  await commandOutput("zpool", ["sync"]);
  await assertFails("INVALID_ARGUMENT", () => f.driver.setLimit(keyOf("work"), MIB, f.operation));
  await commandOutput("zfs", ["set", "quota=none", `${baseOf(f)}/${f.idOf("work").toString(36)}`]);
  const [found] = await f.driver.check({ repair: true }, f.operation);
  assertEquals([found?.kind, found?.repairable], ["missing-limit", true]);
  assertEquals(await f.driver.check({ repair: false }, f.operation), []);
});

zfsTest("changes found by zfs diff are those that a comparison of everything finds", async (f) => {
  await f.layer("base", undefined, (root) =>
    shell(
      root,
      `for d in 1 2 3 4; do mkdir -p $d/sub; for n in 1 2 3; do echo $d$n > $d/$n; echo $d$n > $d/sub/$n; done; done
       name=$(printf 'odd \\377\\tname'); echo x > "$name"; mkfifo p; ln -s a sym`,
    ).then());
  const scripts = [
    "echo more >> 1/1; rm 2/sub/3; mkdir new; echo n > new/n; chmod 600 3/1; setfattr -n user.x -v y 3/2; mv 4/sub 4/moved",
    "name=$(printf 'odd \\377\\tname'); echo y > \"$name\"; rm p; mknod p c 1 3; rm sym; ln -s b sym; rm -r 1; echo file > 1",
    // Names of one file that zfs diff does not tell: everything is compared.
    "ln 2/1 3/link; echo more >> 2/1; ln 2/2 2/again; rm 2/2",
    "echo far >> 3/link; mv 3 three; mkdir 3; echo 1 > 3/1",
    "rm 2/1; echo x >> three/link",
  ];
  for (const [i, script] of scripts.entries()) {
    const key = `work${i}`, parent = i === 0 ? "base" : `l${i - 1}`;
    await f.prepare(key, parent);
    await f.edit(key, (root) => shell(root, script).then());
    await assertSameChanges(f, key, parent);
    await f.commit(`l${i}`, key);
    await assertSameChanges(f, `l${i}`, parent);
  }
});

zfsTest("a crash between the sealing and the row is undone at the next start", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
  await f.prepare("work", "base");
  const dataset = (key: string) => `${baseOf(f)}/${f.idOf(key).toString(36)}`;
  await commandOutput("zfs", ["snapshot", `${dataset("work")}@layer`]);
  await f.restart();
  await f.edit("work", (root) => Deno.writeTextFile(`${root}/y`, "y"));
  await f.commit("layer", "work");
  await f.look("layer", async (root) => assertEquals(await Deno.readTextFile(`${root}/y`), "y"));
});

zfsTest("what somebody mounted or made in a dataset is left alone, and told", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
  const dataset = `${baseOf(f)}/${f.idOf("base").toString(36)}`;
  const target = await Deno.makeTempDir();
  await commandOutput("mount", ["-t", "zfs", dataset, target]);
  await assertFails("CONFLICT", () => f.remove("base"));
  await f.store.write((tx) => tx.run("DELETE FROM snapshots WHERE key = 'base'"));
  await f.restart();
  await assertFails("CONFLICT", () => f.driver.cleanup(f.operation));
  assertEquals(await Deno.readTextFile(`${target}/x`), "x\n");
  await commandOutput("umount", [target]);
  await Deno.remove(target);
  await commandOutput("zfs", ["create", `${dataset}/mine`]);
  assertStringIncludes((await assertFails("CONFLICT", () => f.driver.cleanup(f.operation))).message, "mine");
  await commandOutput("zfs", ["destroy", `${dataset}/mine`]);
  await f.driver.cleanup(f.operation);
  assertEquals(await f.leftovers(), []);
});

zfsTest("a dataset of another root is refused by name", async (f) => {
  await f.prepare("work");
  const directory = `${f.scratch.path}/other`;
  await Deno.mkdir(directory);
  using store = new Store(`${directory}/db`);
  const context = { directory, store, engine: sharedEngine(), mounter: f.setup.mounter, options: f.setup.options! };
  await using other = await zfsFactory.open(context, f.operation);
  const error = await assertFails("CONFLICT", () => other.recover(f.operation));
  assertStringIncludes(error.message, f.directory);
});

zfsTest("a full pool still takes deletions, and gives the space back", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "echo x > x").then());
  await f.prepare("hog", "base");
  await f.edit("hog", async (root) => assertMatch(await tooMuch(root, "2G"), /space/i));
  await assertFails("RESOURCE_EXHAUSTED", async () => {
    for (let i = 0; i < 20; i++) await f.prepare(`more${i}`, "base");
  }).catch(() => {});
  await f.remove("hog");
  await f.driver.cleanup(f.operation);
  await f.prepare("again", "base");
});

rootTest("pools that are missing, read-only or suspended are named, and so is what to do", async () => {
  const operation = testOperation();
  const directory = await Deno.makeTempDir();
  const why = async (option: string | undefined) => {
    const options: Record<string, string> = option === undefined ? {} : { "zfs.pool": option };
    return (await zfsFactory.probe({ directory, options }, operation)).reasons[0];
  };
  {
    await using pool = await makePool("256M");
    assertMatch((await why(undefined))!, /lies on .*zfs\.pool=/);
    assertEquals(
      await why(`${pool.name}/absent`),
      `there is no dataset ${pool.name}/absent: make it (zfs create ${pool.name}/absent)`,
    );
    assertEquals(await why("nosuchpool"), "there is no pool nosuchpool");
    assertEquals(await why(pool.name), undefined);
    await commandOutput("zpool", ["export", pool.name]);
    const importing = ["import", "-d", pool.file.replace(/\/[^/]*$/, ""), "-o", "readonly=on", pool.name];
    await commandOutput("zpool", importing);
    assertMatch((await why(pool.name))!, /imported read-only/);
  }
  await Deno.remove(directory);
});

async function tooMuch(root: string, size: string): Promise<string> {
  return await shell(
    root,
    `if head -c ${size} /dev/zero > over 2> /dev/null; then sync -f . ; fi; echo x 2> /dev/null >> over || true
    dd if=/dev/zero of=over2 bs=1M count=2200 2>&1 | grep -i 'quota\\|space' || true; rm -f over over2`,
  );
}

async function assertSameChanges(f: DriverFixture, key: string, parent: string): Promise<void> {
  const fast = (await Array.fromAsync(f.driver.changes(keyOf(key), f.operation))).map(({ kind, path }) =>
    `${kind} ${path}`
  );
  const archive = await bytesOfStream(f.driver.diff(keyOf(key), f.operation));
  await f.meddle(key, (tree) =>
    f.meddle(parent, async (before) => {
      const compare = { kind: "compare", tree, parent: before } as const;
      const slow = (await Array.fromAsync(sharedEngine().changes(compare, f.operation))).map(({ kind, path }) =>
        `${kind} ${path}`
      );
      assertEquals(fast, slow);
      assert(slow.length > 0);
      assertEquals(digestOf(archive), digestOf(await bytesOfStream(sharedEngine().tar(compare, f.operation))));
    }));
}
