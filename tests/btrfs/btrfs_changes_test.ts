import { assert, assertEquals } from "@std/assert";
import { byteStringFromText } from "../../runtime/core/bytes.ts";
import { subvolumeInfo, withDirectory } from "../../runtime/host/btrfs_calls.ts";
import { touchedInodes } from "../../runtime/host/btrfs_changes.ts";
import { directoryOf } from "../contract/support/backing.ts";
import type { DriverFixture } from "../contract/support/driver_fixture.ts";
import { sharedEngine } from "../contract/support/engine.ts";
import { bytesOfStream, digestOf } from "../contract/support/layer_archives.ts";
import { shell } from "../contract/tree_cases.ts";
import { btrfsTest } from "./support.ts";

btrfsTest(
  "changes found by generation are those that a comparison of everything finds, archives included",
  async (f) => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const random = generator(seed);
    try {
      await f.layer("l0", undefined, (root) => makeTree(root));
      for (let level = 1; level <= 6; level++) {
        await f.prepare(`work${level}`, `l${level - 1}`);
        await f.edit(`work${level}`, (root) => {
          for (let i = 0; i < 40; i++) change(root, random);
          return Promise.resolve();
        });
        await assertSameChanges(f, `work${level}`, `l${level - 1}`);
        await f.commit(`l${level}`, `work${level}`);
        await assertSameChanges(f, `l${level}`, `l${level - 1}`);
      }
    } catch (error) {
      throw new Error(`with seed ${seed}`, { cause: error });
    }
  },
);

btrfsTest("what was not written to is not looked at", async (f) => {
  await f.layer(
    "base",
    undefined,
    (root) =>
      shell(root, "for d in $(seq 200); do mkdir -p a/$d; for n in 1 2 3 4 5; do echo $d > a/$d/$n; done; done").then(),
  );
  await f.prepare("work", "base");
  await f.edit("work", (root) => shell(root, "echo new > a/100/3; ln a/7/1 a/8/link; rm a/9/2").then());
  const expected = ["C /a", "C /a/100", "C /a/100/3", "C /a/8", "A /a/8/link", "C /a/9", "D /a/9/2"];
  assertEquals(await f.changes("work"), expected);
  const tree = byteStringFromText(`${directoryOf(f, f.idOf("work"))}/fs`);
  const touched = await withDirectory(tree, (fd) => touchedInodes(fd, subvolumeInfo(fd).madeIn));
  // The root, a, four directories, the changed file, the linked one.
  assert(touched.size <= 12, `${touched.size} inodes`);
});

btrfsTest("a file with more names than one block holds is found under each", async (f) => {
  await f.layer(
    "base",
    undefined,
    (root) =>
      shell(
        root,
        "mkdir d e; echo x > d/0; for i in $(seq 700); do ln d/0 d/a-rather-long-name-of-a-link-$i; done; ln d/0 e/far",
      ).then(),
  );
  await f.prepare("work", "base");
  await f.edit("work", (root) => shell(root, "echo more >> e/far").then());
  const changes = await f.changes("work");
  assertEquals(changes.length, 704);
  assert(changes.includes("C /e/far") && changes.includes("C /d/0"));
  await assertSameChanges(f, "work", "base");
});

btrfsTest("usage is what was written beyond the parent, not the files it was written to", async (f) => {
  await f.layer("base", undefined, (root) => shell(root, "head -c 20M /dev/urandom > big; echo x > small").then());
  await f.prepare("work", "base");
  await f.edit(
    "work",
    (root) => shell(root, "printf y | dd of=big conv=notrunc bs=1 seek=1000000 2> /dev/null; echo 1 > new").then(),
  );
  const { size_bytes, inodes } = await f.driver.usage("work" as never, f.operation);
  assert(size_bytes >= 4096 && size_bytes < 65536, `${size_bytes}`);
  assertEquals(inodes, 1);
});

async function assertSameChanges(f: DriverFixture, key: string, parent: string): Promise<void> {
  const [tree, before] = [key, parent].map((name) => `${directoryOf(f, f.idOf(name))}/fs`) as [string, string];
  const compare = { kind: "compare", tree, parent: before } as const;
  const slow = (await Array.fromAsync(sharedEngine().changes(compare, f.operation))).map(({ kind, path }) =>
    `${kind} ${path}`
  );
  const fast = (await Array.fromAsync(f.driver.changes(key as never, f.operation))).map(({ kind, path }) =>
    `${kind} ${path}`
  );
  assertEquals(fast, slow);
  assert(slow.length > 0);
  const archives = await Promise.all(
    [sharedEngine().tar(compare, f.operation), f.driver.diff(key as never, f.operation)].map(bytesOfStream),
  );
  assertEquals(digestOf(archives[1]!), digestOf(archives[0]!));
}

function makeTree(root: string): Promise<void> {
  return shell(
    root,
    "for a in 1 2 3 4 5 6; do for b in 1 2 3 4 5; do mkdir -p $a/$b; for c in 1 2 3 4 5 6 7 8; do echo $a$b$c > $a/$b/$c; done; done; done",
  ).then();
}

type Random = (below: number) => number;

function generator(seed: number): Random {
  let state = seed || 1;
  return (below) => {
    state ^= state << 13, state ^= state >>> 17, state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** One random change; what cannot be done is left. */
function change(root: string, random: Random): void {
  const names = [...walk(root)];
  const pick = () => names[random(names.length)] ?? `${root}/1`;
  const target = pick(), fresh = `${random(3) === 0 ? root : pick()}/n${random(1000)}`;
  const changes: Array<() => void> = [
    () => Deno.writeTextFileSync(target, `w${random(1e6)}`),
    () => Deno.writeTextFileSync(target, "more", { append: true, create: false }),
    () => Deno.writeTextFileSync(fresh, "new"),
    () => Deno.mkdirSync(fresh),
    () => Deno.removeSync(target, { recursive: random(4) === 0 }),
    () => Deno.renameSync(target, fresh),
    () => Deno.renameSync(target, pick()),
    () => Deno.linkSync(target, fresh),
    () => Deno.symlinkSync(target, fresh),
    () => Deno.chmodSync(target, 0o700 + random(64)),
    () => Deno.chownSync(target, random(9), random(9)),
    () => Deno.utimeSync(target, random(1e9), random(1e9)),
  ];
  try {
    changes[random(changes.length)]!();
  } catch (error) {
    // A directory into itself, over a file, and the like.
    if (!(error instanceof Error)) throw error;
  }
}

function* walk(directory: string): Generator<string> {
  for (const { name, isDirectory } of [...Deno.readDirSync(directory)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    yield `${directory}/${name}`;
    if (isDirectory) yield* walk(`${directory}/${name}`);
  }
}
