/** What is seen through the mounts. Ordinary file operations by ordinary programs, as a container does them. */
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { commandOutput } from "../../runtime/host/command.ts";
import type { ContractCase } from "./support/contract_case.ts";
import { assertFails } from "./support/contract_case.ts";
import { type DriverFixture, keyOf } from "./support/driver_fixture.ts";
import { printTree } from "./support/tree_print.ts";

/** Runs a script with `$1` being the root of a tree. */
export async function shell(root: string, script: string): Promise<string> {
  // Patience for a full pool in a guest on a busy machine.
  return await commandOutput("sh", ["-euc", script, "sh", root], { cwd: root, timeout_ms: 900_000 });
}

/** See the head of the file. */
export const treeCases: readonly ContractCase[] = [
  {
    name: "a snapshot without a parent is empty, 0755 and root's",
    async run(f) {
      await f.mounted(await f.prepare("a"), (root) => {
        assertEquals([...printTree(root)], [["/", "directory 755 0:0"]]);
      });
      await f.mounted(await f.view("v"), (root) => {
        assertEquals([...printTree(root)], [["/", "directory 755 0:0"]]);
      });
    },
  },
  {
    name: "a view cannot be written to",
    async run(f) {
      await f.layer("one", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
      await f.layer("two", "one", (root) => Deno.writeTextFile(`${root}/other`, "text"));
      for (const parent of [undefined, "one", "two"]) {
        await f.mounted(await f.view(`view of ${parent}`, parent), async (root) => {
          const error = await assertRejects(() => Deno.writeTextFile(`${root}/new`, "x"));
          assertMatch(String(error), /os error 30/);
          await assertRejects(() => Deno.chmod(root, 0o700));
          if (parent !== undefined) await assertRejects(() => Deno.remove(`${root}/file`));
        });
      }
      await f.look("two", (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/file", "/other"]);
      });
    },
  },
  {
    name: "writing to a child never changes its parent or its siblings",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "echo old > file; mkdir dir; echo x > dir/x").then());
      const before = await f.look("base", (root) => printTree(root, { times: true }));
      await f.prepare("one", "base");
      await f.prepare("two", "base");
      await f.edit("one", (root) => shell(root, "echo new > file; rm -r dir; chmod 700 .; echo y >> more").then());
      await f.edit("two", (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/dir", "/dir/x", "/file"]);
      });
      assertEquals(await f.look("base", (root) => printTree(root, { times: true })), before);
    },
  },
  {
    name: "a child sees what all of its ancestors say",
    async run(f) {
      await f.layer("a", undefined, (root) => shell(root, "echo a > a; echo a > all; mkdir d; echo a > d/a").then());
      await f.layer("b", "a", (root) => shell(root, "echo b > b; echo b > all; echo b > d/b").then());
      await f.layer("c", "b", (root) => shell(root, "echo c > c; echo c > all; rm d/a").then());
      await f.mounted(await f.prepare("work", "c"), async (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/a", "/all", "/b", "/c", "/d", "/d/b"]);
        assertEquals(await Deno.readTextFile(`${root}/all`), "c\n");
      });
    },
  },
  {
    name: "modes, setuid bits, owners and directory permissions survive a commit",
    async run(f) {
      await f.layer("base", undefined, (root) =>
        shell(
          root,
          `mkdir dir tmp; chmod 0751 dir; chmod 1777 tmp; echo x > suid; chown 7:8 suid; chmod 6755 suid
           echo y > private; chmod 0600 private; chown 1000:1001 private dir; ln -s suid link; chown -h 5:6 link; mkfifo fifo`,
        ).then());
      const first = await f.look("base", (root) => printTree(root));
      assertMatch(first.get("/suid")!, /^file 6755 7:8 /);
      assertEquals(first.get("/dir"), "directory 751 1000:1001");
      assertEquals(first.get("/tmp"), "directory 1777 0:0");
      assertMatch(first.get("/link")!, /5:6 -> suid/);
      assertMatch(first.get("/fifo")!, /^fifo/);
      await f.layer("changed", "base", (root) => shell(root, "chmod 0700 dir; chown 9 private; chmod u-s suid").then());
      const second = await f.look("changed", (root) => printTree(root));
      assertEquals(second.get("/dir"), "directory 700 1000:1001");
      assertMatch(second.get("/private")!, /^file 600 9:1001/);
      assertMatch(second.get("/suid")!, /^file 2755 7:8/);
      assertEquals(second.get("/tmp"), first.get("/tmp"));
    },
  },
  {
    name: "the root's own owner, mode and attributes pass on to children",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "chown 12:34 .; chmod 1711 .").then());
      await f.layer("child", "base", () => {});
      await f.mounted(await f.prepare("work", "child"), (root) => {
        assertEquals(printTree(root).get("/"), "directory 1711 12:34");
      });
      await f.edit("work", (root) => Deno.chmod(root, 0o750));
      await f.commit("changed", "work");
      assertEquals(await f.look("changed", (root) => printTree(root).get("/")), "directory 750 12:34");
      assertEquals(await f.look("child", (root) => printTree(root).get("/")), "directory 1711 12:34");
    },
  },
  {
    name: "extended attributes survive, on files, directories and the root",
    async run(f) {
      await f.layer("base", undefined, (root) =>
        shell(
          root,
          `touch file; mkdir dir; setfattr -n user.note -v hello file; setfattr -n user.dir -v d dir
           setfattr -n user.root -v r .`,
        ).then());
      await f.layer("next", "base", (root) => shell(root, "setfattr -n user.more -v m file; echo 1 > file").then());
      await f.mounted(await f.prepare("work", "next"), (root) => {
        const tree = printTree(root);
        assertMatch(tree.get("/file")!, /user\.more=6d user\.note=68656c6c6f$/);
        assertMatch(tree.get("/dir")!, /user\.dir=64$/);
        assertMatch(tree.get("/")!, /user\.root=72$/);
      });
      await f.layer(
        "less",
        "next",
        (root) => shell(root, "setfattr -x user.note file; setfattr -x user.dir dir").then(),
      );
      const tree = await f.look("less", (root) => printTree(root));
      assertMatch(tree.get("/file")!, / user\.more=6d$/);
      assertEquals(tree.get("/dir"), "directory 755 0:0");
    },
  },
  {
    name: "file capabilities survive",
    needs: "file capabilities",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "cp /bin/true tool; setcap cap_net_raw+ep tool").then());
      const before = await f.look("base", (root) => printTree(root).get("/tool"));
      assertMatch(before!, /security\.capability=/);
      await f.layer("next", "base", (root) => shell(root, "chmod 0700 tool").then());
      assertEquals(
        await f.look("next", (root) => printTree(root).get("/tool")),
        before!.replace("file 755", "file 700"),
      );
    },
  },
  {
    name: "device nodes survive, and one can be deleted and made again",
    needs: "device nodes",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "mknod null c 1 3; mknod disk b 7 9; mknod gone c 1 5").then(),
      );
      await f.layer("next", "base", (root) => shell(root, "rm gone null; mknod null c 1 7").then());
      const tree = await f.look("next", (root) => printTree(root));
      assertEquals([...tree.keys()], ["/", "/disk", "/null"]);
      assertMatch(tree.get("/null")!, /^char .* 1:7$/);
      assertMatch(tree.get("/disk")!, /^block .* 7:9$/);
    },
  },
  {
    name: "renamed files and directories arrive whole, also those of the parent",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "mkdir -p dir/sub; echo 1 > dir/sub/one; echo 2 > two; echo 3 > three").then(),
      );
      await f.layer("renamed", "base", (root) => shell(root, "mv dir moved; mv two moved/two; mv three two").then());
      const tree = await f.look("renamed", (root) => printTree(root));
      assertEquals([...tree.keys()], ["/", "/moved", "/moved/sub", "/moved/sub/one", "/moved/two", "/two"]);
      await f.layer("back", "renamed", (root) => shell(root, "mv moved/two three; mv two moved; mv moved dir").then());
      const back = await f.look("back", (root) => printTree(root));
      assertEquals([...back.keys()], ["/", "/dir", "/dir/sub", "/dir/sub/one", "/dir/two", "/three"]);
      await f.look("back", async (root) => assertEquals(await Deno.readTextFile(`${root}/dir/two`), "3\n"));
    },
  },
  {
    name: "rename over an existing name replaces it and only it",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "echo old > target; echo new > source; mkdir empty").then(),
      );
      await f.layer(
        "next",
        "base",
        (root) => shell(root, "mv source target; mkdir full; echo x > full/x; mv -T full empty").then(),
      );
      await f.look("next", async (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/empty", "/empty/x", "/target"]);
        assertEquals(await Deno.readTextFile(`${root}/target`), "new\n");
      });
    },
  },
  {
    name: "hard links inside a layer stay one file",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "echo x > one; mkdir d; ln one d/two; ln -s one sym; ln sym sym2").then(),
      );
      const tree = await f.look("base", (root) => printTree(root));
      assertMatch(tree.get("/one")!, /same as \/d\/two$/);
      assertMatch(tree.get("/sym2")!, /same as \/sym$/);
      await f.layer("unlinked", "base", (root) => shell(root, "rm one; echo y > one; echo z >> d/two").then());
      await f.look("unlinked", async (root) => {
        assertEquals(await Deno.readTextFile(`${root}/one`), "y\n");
        assertEquals(await Deno.readTextFile(`${root}/d/two`), "x\nz\n");
      });
    },
  },
  {
    name: "a link made to a file of the parent shares its content in the child",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "echo x > file").then());
      await f.layer("linked", "base", (root) => shell(root, "ln file link").then());
      const tree = await f.look("linked", (root) => printTree(root));
      assertMatch(tree.get("/link")!, /same as \/file$/);
      assertEquals(await f.look("base", (root) => [...printTree(root).keys()]), ["/", "/file"]);
    },
  },
  {
    name: "a name changes its type from layer to layer",
    async run(f) {
      const types = [
        "echo x > n",
        "rm n; mkdir n; echo y > n/y",
        "rm -r n; ln -s /absent n",
        "rm n; mkfifo n",
        "rm n; mkdir n",
      ];
      const patterns = [/^file/, /^directory/, /^symlink/, /^fifo/, /^directory/];
      for (const [i, script] of types.entries()) {
        await f.layer(`t${i}`, i === 0 ? undefined : `t${i - 1}`, (root) => shell(root, script).then());
        assertMatch(await f.look(`t${i}`, (root) => printTree(root).get("/n")!), patterns[i]!);
      }
      assertEquals(await f.look("t4", (root) => [...printTree(root).keys()]), ["/", "/n"]);
      assertEquals(await f.look("t1", (root) => [...printTree(root).keys()]), ["/", "/n", "/n/y"]);
    },
  },
  {
    name: "a deleted and recreated directory does not show what it held",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "mkdir -p d/e; echo 1 > d/one; echo 2 > d/e/two").then());
      await f.layer("again", "base", (root) => shell(root, "rm -r d; mkdir d; echo 3 > d/three").then());
      await f.layer("more", "again", (root) => shell(root, "mkdir d/e; echo 4 > d/e/four").then());
      const tree = await f.look("more", (root) => printTree(root));
      assertEquals([...tree.keys()], ["/", "/d", "/d/e", "/d/e/four", "/d/three"]);
    },
  },
  {
    name: "usage counts what a snapshot adds, each linked file once, and is kept at commit",
    async run(f) {
      const size_bytes = 4 << 20;
      await f.prepare("a");
      const empty = await f.driver.usage(keyOf("a"), f.operation);
      await f.edit("a", async (root) => {
        await Deno.writeFile(`${root}/big`, crypto.getRandomValues(new Uint8Array(65536)));
        await shell(root, `head -c ${size_bytes} /dev/urandom > big; ln big again; : > small`);
      });
      const full = await f.driver.usage(keyOf("a"), f.operation);
      assert(full.size_bytes - empty.size_bytes >= size_bytes, `${full.size_bytes}`);
      assert(full.size_bytes - empty.size_bytes < size_bytes * 1.5, `${full.size_bytes}`);
      assertEquals(full.inodes - empty.inodes, 2);
      await f.commit("layer", "a");
      assertEquals(await f.driver.usage(keyOf("layer"), f.operation), full);
      await f.view("v", "layer");
      assertEquals(await f.driver.usage(keyOf("v"), f.operation), { size_bytes: 0, inodes: 0 });
      if (!f.driver.capabilities.copyOnWrite) return;
      await f.prepare("b", "layer");
      const child = await f.driver.usage(keyOf("b"), f.operation);
      // Where datasets are counted as the pool does, a new one has a block or two of its own.
      assert(child.size_bytes <= Math.max(empty.size_bytes, 4096), `${child.size_bytes}`);
    },
  },
  {
    name: "a mounted snapshot is neither removed nor committed",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/x`, "x"));
      for (const parent of [undefined, "base"]) {
        await f.mounted(await f.prepare("work", parent), async (root) => {
          const error = await assertFails("CONFLICT", () => f.remove("work"));
          assertEquals(error.details.target, root);
          await assertFails("CONFLICT", () => f.commit("layer", "work"));
        });
        await f.remove("work");
      }
    },
  },
  {
    name: "two drivers on one root do not see each other's keys",
    async run(f) {
      const { SnapshotStore } = await import("../../drivers/storage/snapshot_store.ts");
      const name = f.driver.name === "vfs" ? "overlay" : "vfs";
      const other = new SnapshotStore(f.store, name);
      const id = other.reserveId();
      await f.store.write((tx) => other.insert(tx, { id, key: keyOf("same"), kind: "committed" }, "prepare"));
      await f.prepare("same");
      assertEquals((await f.stat("same")).kind, "active");
      await assertFails("NOT_FOUND", () => f.prepare("child", "absent"));
      await f.remove("same");
      assertEquals([other.find("same")?.id, await f.keys()], [id, []]);
      await assertFails("NOT_FOUND", () => f.prepare("child", "same"));
      assertNotEquals(other.reserveId(), id);
    },
  },
];

/** Compares a committed snapshot with a plain directory. */
export async function assertSameTree(f: DriverFixture, name: string, directory: string): Promise<void> {
  assertEquals(await f.look(name, (root) => printTree(root)), printTree(directory), `layer ${name}`);
}
