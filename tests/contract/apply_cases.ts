/** Layers in and out as archives. */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { assertFails, type ContractCase } from "./support/contract_case.ts";
import { type DriverFixture, keyOf } from "./support/driver_fixture.ts";
import { apply, archive, bytesOfStream, compress, digestOf, streamOf, traces } from "./support/layer_archives.ts";
import { printTree } from "./support/tree_print.ts";
import { shell } from "./tree_cases.ts";

/** See the head of the file. */
export const applyCases: readonly ContractCase[] = [
  {
    name: "apply makes a committed snapshot of an archive, plain or compressed",
    async run(f) {
      const tar = await archive(f, "mkdir d; echo x > d/f; ln d/f d/g; ln -s f d/l; chmod 711 .; chown 3:4 d");
      const diffId = digestOf(tar);
      const trees: Map<string, string>[] = [];
      for (const compression of ["none", "gzip", "zstd"] as const) {
        const blob = compress(tar, compression);
        const applied = await apply(f, compression, undefined, blob, {
          digest: digestOf(blob),
          diffId,
          labels: { from: compression },
        });
        assertEquals([applied.diffId, applied.digest, applied.tar_bytes], [diffId, digestOf(blob), tar.length]);
        assertEquals((await f.stat(compression)).labels, { from: compression });
        assertEquals((await f.stat(compression)).kind, "committed");
        trees.push(await f.look(compression, (root) => printTree(root, { times: true })));
      }
      assertEquals(trees[1], trees[0]);
      assertEquals(trees[2], trees[0]);
      assertEquals([trees[0]!.get("/"), trees[0]!.get("/d")], ["directory 711 0:0", "directory 755 3:4"]);
    },
  },
  {
    name: "a blob is also read from a part of a file",
    async run(f) {
      const tar = await archive(f, "echo text > file");
      const path = `${f.scratch.path}/archive`;
      await Deno.writeFile(
        path,
        new Uint8Array([...new Uint8Array(1000).fill(1), ...tar, ...new Uint8Array(77).fill(2)]),
      );
      await f.driver.apply({
        name: keyOf("layer"),
        parentReady: Promise.resolve(),
        recipePath: f.recipe("layer"),
        blob: {
          source: { path, offset_bytes: 1000, length_bytes: tar.length },
          compression: "auto",
          diffId: digestOf(tar),
        },
      }, f.operation);
      await f.look("layer", async (root) => assertEquals(await Deno.readTextFile(`${root}/file`), "text\n"));
    },
  },
  {
    name: "whiteouts hide the lower layers and nothing else",
    async run(f) {
      await apply(
        f,
        "base",
        undefined,
        await archive(f, "mkdir -p a b/c; echo 1 > a/x; echo 2 > a/y; echo 3 > b/c/z; echo 4 > top"),
      );
      await apply(
        f,
        "next",
        "base",
        await archive(f, "mkdir a b; : > a/.wh.x; : > b/.wh..wh..opq; echo new > b/n; : > .wh.top; echo w > .wh.never"),
      );
      await f.look("next", (root) => assertEquals([...printTree(root).keys()], ["/", "/a", "/a/y", "/b", "/b/n"]));
      await f.look("base", (root) => assertEquals([...printTree(root).keys()].length, 8));
      // Hidden names come back by a layer above, without what was hidden.
      await apply(f, "back", "next", await archive(f, "mkdir -p b/c a; echo again > a/x; mkdir top"));
      await f.look("back", (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/a", "/a/x", "/a/y", "/b", "/b/c", "/b/n", "/top"]);
      });
    },
  },
  {
    name: "a file of the layer itself stays, whichever side of its whiteout it comes on",
    async run(f) {
      await apply(f, "base", undefined, await archive(f, "mkdir d; echo old > d/f; echo old > d/g"));
      const before = await archive(f, "mkdir d; : > d/.wh.f; echo new > d/f; : > d/.wh..wh..opq");
      await apply(f, "next", "base", before);
      await f.look("next", async (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/d", "/d/f"]);
        assertEquals(await Deno.readTextFile(`${root}/d/f`), "new\n");
      });
    },
  },
  {
    name: "a hard link into a lower layer shares the content inside its own",
    async run(f) {
      await apply(f, "base", undefined, await archive(f, "mkdir d; echo shared > d/f; chmod 640 d/f"));
      // The archive names the link only, its target is in the parent.
      const tar = await archive(f, "mkdir d; echo shared > d/f; chmod 640 d/f; ln d/f link");
      await apply(f, "next", "base", await withoutEntry(f, tar, "./d/f"));
      await f.look("next", async (root) => {
        assertEquals(await Deno.readTextFile(`${root}/link`), "shared\n");
        assertMatch(printTree(root).get("/link")!, /^file 640 0:0 7 .* same as \/d\/f$/);
      });
    },
  },
  {
    name: "the root's attributes come from the archive if it names the root, else from the parent",
    async run(f) {
      await apply(f, "base", undefined, await archive(f, "chmod 1711 .; chown 5:6 .; echo x > x"));
      const unnamed = await archive(f, "echo y > y", { names: ["y"] });
      await apply(f, "unnamed", "base", unnamed);
      await f.mounted(await f.prepare("work", "unnamed"), (root) => {
        assertEquals(printTree(root).get("/"), "directory 1711 5:6");
      });
      await apply(f, "named", "unnamed", await archive(f, "chmod 700 ."));
      assertEquals(await f.look("named", (root) => printTree(root).get("/")), "directory 700 0:0");
    },
  },
  {
    name: "diff and apply again give the same tree, and the same archive",
    async run(f) {
      const scripts = [
        `mkdir -p a/b c; echo 1 > a/b/f; ln a/b/f a/link; echo 2 > c/g; ln -s ../c a/sym; mkfifo p; chmod 4755 c/g
         setfattr -n user.note -v n a; chown 7:8 c; touch -d '2001-02-03 04:05:06.123456789' c/g`,
        "rm a/b/f; rm -r c; mkdir c; echo 3 > c/new; chmod 700 a; mv p q",
        "rm -r a; echo file > a; rm q; mkdir q; ln c/new q/hard",
      ];
      for (const [i, script] of scripts.entries()) {
        await f.layer(`l${i}`, i === 0 ? undefined : `l${i - 1}`, (root) => shell(root, script).then());
        const tar = await bytesOfStream(f.driver.diff(keyOf(`l${i}`), f.operation));
        await apply(f, `copy${i}`, i === 0 ? undefined : `copy${i - 1}`, tar, { diffId: digestOf(tar) });
        assertEquals(
          await f.look(`copy${i}`, (root) => printTree(root, { times: true })),
          await f.look(`l${i}`, (root) => printTree(root, { times: true })),
          `layer ${i}`,
        );
        assertEquals(await f.changes(`copy${i}`), await f.changes(`l${i}`));
        assertEquals(digestOf(await bytesOfStream(f.driver.diff(keyOf(`copy${i}`), f.operation))), digestOf(tar));
      }
    },
  },
  {
    name: "an applied layer gives its original archive back, byte for byte",
    async run(f) {
      const tar = await archive(
        f,
        "mkdir d; head -c 300000 /dev/urandom > d/big; ln d/big d/link; : > .wh.gone; mkfifo d/p",
        { args: ["--format=gnu", "--blocking-factor=40"] },
      );
      const diffId = digestOf(tar);
      await apply(f, "layer", undefined, compress(tar, "gzip"), { diffId });
      const back = await bytesOfStream(f.driver.reassemble(keyOf("layer"), f.recipe("layer"), diffId, f.operation));
      assertEquals(digestOf(back), diffId);
      // A tree that no longer says what its digest says is found out.
      await f.meddle("layer", (tree) => Deno.writeFile(`${tree}/d/big`, new Uint8Array(300_000)));
      await assertFails(
        "DATA_LOSS",
        () => bytesOfStream(f.driver.reassemble(keyOf("layer"), f.recipe("layer"), diffId, f.operation)),
      );
    },
  },
  {
    name: "a blob that is wrong, cut short or hostile leaves nothing",
    async run(f) {
      const tar = await archive(f, "head -c 100000 /dev/urandom > file");
      const gz = compress(tar, "gzip");
      const other = digestOf(new Uint8Array(1));
      await assertFails("DATA_LOSS", () => apply(f, "a", undefined, gz, { digest: other }));
      await assertFails("DATA_LOSS", () => apply(f, "a", undefined, gz, { diffId: other }));
      for (const cut of [gz.slice(0, gz.length - 20), tar.slice(0, 50_000), gz.slice(0, 5)]) {
        const error = await apply(f, "a", undefined, cut).then(() => undefined, (error) => error);
        assert(error instanceof LaminaError, String(error));
        assert(["DATA_LOSS", "INVALID_ARGUMENT"].includes(error.code), error.message);
      }
      const escape = await archive(f, "mkdir d; echo x > d/f", {
        args: ["--transform=s,^./d/f,../../escape,", "-P"],
      });
      await assertFails("INVALID_ARGUMENT", () => apply(f, "a", undefined, escape));
      assertEquals(await traces(f), []);
      await apply(f, "a", undefined, gz, { digest: digestOf(gz), diffId: digestOf(tar) });
      assertEquals((await f.stat("a")).kind, "committed");
    },
  },
  {
    name: "an apply that is cancelled on its way leaves nothing",
    async run(f) {
      const tar = await archive(f, "head -c 3000000 /dev/urandom > file");
      const cancel = new AbortController();
      let sent = 0;
      const slow = streamOf(tar, 100_000).pipeThrough(
        new TransformStream({
          transform(chunk, controller) {
            if (++sent === 5) cancel.abort();
            controller.enqueue(chunk);
          },
        }),
      );
      const request = {
        name: keyOf("a"),
        parentReady: Promise.resolve(),
        recipePath: f.recipe("a"),
        blob: { source: slow, compression: "auto" as const },
      };
      await assertFails("CANCELLED", () => f.driver.apply(request, { ...f.operation, signal: cancel.signal }));
      assertEquals(await traces(f), []);
    },
  },
  {
    name: "layers are applied at once, whatever the order in which their parents get ready",
    async run(f) {
      const scripts = [
        "mkdir d; echo 0 > d/0; echo 0 > all",
        "mkdir d; echo 1 > d/1; echo 1 > all",
        "mkdir d; : > d/.wh.0; echo 2 > all",
        "mkdir d; echo 3 > d/0",
      ];
      const archives = await Promise.all(scripts.map((script) => archive(f, script)));
      const ready = archives.map(() => Promise.withResolvers<unknown>());
      const all = archives.map((tar, i) => {
        const applied = apply(f, `l${i}`, i === 0 ? undefined : `l${i - 1}`, tar, {
          parentReady: i === 0 ? Promise.resolve() : ready[i - 1]!.promise,
        });
        applied.then(ready[i]!.resolve, ready[i]!.reject);
        return applied;
      });
      await Promise.all(all.reverse());
      await f.look("l3", async (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/all", "/d", "/d/0", "/d/1"]);
        assertEquals(await Deno.readTextFile(`${root}/d/0`) + await Deno.readTextFile(`${root}/all`), "3\n2\n");
      });
      assertEquals((await f.stat("l3")).parent, keyOf("l2"));
    },
  },
  {
    name: "when the parent never gets ready the layer fails with its reason and leaves nothing",
    async run(f) {
      const tar = await archive(f, "echo x > x");
      const reason = new LaminaError("DATA_LOSS", "the parent's blob was damaged");
      const parentReady = Promise.reject(reason);
      const error = await assertFails("DATA_LOSS", () => apply(f, "child", "parent", tar, { parentReady }));
      assertMatch(error.message, /the parent's blob was damaged/);
      await assertFails("NOT_FOUND", () => apply(f, "child", "absent", tar));
      await f.prepare("active");
      await assertFails("CONFLICT", () => apply(f, "child", "active", tar));
      await f.remove("active");
      assertEquals(await traces(f), []);
    },
  },
  {
    name: "a name that exists is not applied again; of two at once one wins",
    async run(f) {
      const tar = await archive(f, "echo x > x");
      const results = await Promise.allSettled([1, 2, 3].map(() => apply(f, "same", undefined, tar)));
      assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
      await assertFails("ALREADY_EXISTS", () => apply(f, "same", undefined, tar));
      const back = await bytesOfStream(
        f.driver.reassemble(keyOf("same"), f.recipe("same"), digestOf(tar), f.operation),
      );
      assertEquals(digestOf(back), digestOf(tar));
      assertEquals((await traces(f)).length, 3);
    },
  },
  {
    name: "a layer may be named by its content; one that exists already is dropped",
    async run(f) {
      const tar = await archive(f, "echo x > x");
      const name = (diffId: string) => keyOf(`chain/${diffId}`);
      await apply(f, "unused", undefined, tar, { name, recipePath: f.recipe("first") });
      assertEquals(await f.keys(), [`chain/${digestOf(tar)}`]);
      await assertFails(
        "ALREADY_EXISTS",
        () => apply(f, "unused", undefined, tar, { name, recipePath: f.recipe("second") }),
      );
      assertEquals((await traces(f)).filter((path) => path.startsWith("recipes")), ["recipes/first"]);
    },
  },
  {
    name: "usage of an applied layer is known without counting, and right",
    async run(f) {
      await apply(
        f,
        "base",
        undefined,
        await archive(f, "mkdir d; head -c 100000 /dev/urandom > d/f; ln d/f d/g; echo > e"),
      );
      const usage = await f.driver.usage(keyOf("base"), f.operation);
      assertEquals(usage, await f.meddle("base", (tree) => counted(f, tree)));
      await apply(f, "next", "base", await archive(f, ": > .wh.e"));
      assertNotEquals(await f.driver.usage(keyOf("next"), f.operation), usage);
    },
  },
  {
    name: "what is prepared on applied layers behaves as on made ones",
    async run(f) {
      await apply(f, "base", undefined, await archive(f, "mkdir -p d/e; echo 1 > d/e/f; echo 2 > g"));
      await apply(f, "next", "base", await archive(f, "mkdir d; : > d/.wh.e; echo 3 > d/h"));
      await f.prepare("work", "next");
      await f.edit("work", (root) => shell(root, "mkdir d/e; echo 4 > d/e/new; rm g; mv d/h moved").then());
      assertEquals(await f.changes("work"), ["C /d", "A /d/e", "A /d/e/new", "D /d/h", "D /g", "A /moved"]);
      await f.commit("made", "work");
      await f.look("made", (root) => {
        assertEquals([...printTree(root).keys()], ["/", "/d", "/d/e", "/d/e/new", "/moved"]);
      });
    },
  },
];

/** The archive without one entry. */
async function withoutEntry(
  f: DriverFixture,
  tar: Uint8Array<ArrayBuffer>,
  entry: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const path = `${f.scratch.path}/without.tar`;
  await Deno.writeFile(path, tar);
  await shell(f.scratch.path, `tar --delete -f without.tar --no-recursion '${entry}'`);
  return await Deno.readFile(path);
}

async function counted(f: DriverFixture, tree: string): Promise<{ size_bytes: number; inodes: number }> {
  const { sharedEngine } = await import("./support/engine.ts");
  const { size_bytes, inodes } = await sharedEngine().usage(tree, f.operation);
  return { size_bytes, inodes };
}
