/** Random trees through archives and back. A failure names its seed; `LAMINA_TEST_SEED=N` repeats it. */
import { assertEquals } from "@std/assert";
import { messageOf } from "../../runtime/core/errors.ts";
import { compareChanges, compareTar } from "../../drivers/storage/layer/diff_compare.ts";
import { overlayChanges, type OverlaySource } from "../../drivers/storage/layer/diff_overlay.ts";
import { overlayTar } from "../../drivers/storage/layer/diff_overlay_tar.ts";
import type { LayerEngine, WhiteoutForm } from "../../drivers/storage/layer/engine.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { copyTree } from "../../drivers/storage/layer/copy_tree.ts";
import type { TreeChange } from "../../drivers/storage/layer/tree_change.ts";
import { treeTar } from "../../drivers/storage/layer/tree_tar.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";
import { withOverlay } from "./support/overlays.ts";
import { changeRandomly, Random, setRandomTimes } from "./support/random_trees.ts";
import { describeTree, joined, sh } from "./support/trees.ts";

const given = Deno.env.get("LAMINA_TEST_SEED");
const seeds = given === undefined
  ? Array.from({ length: 4 }, () => Math.floor(Math.random() * 2 ** 31))
  : [Number(given)];

type Unpack = (
  tar: Uint8Array<ArrayBuffer>,
  directory: string,
  whiteouts: WhiteoutForm,
  lowers?: readonly string[],
) => Promise<void>;

async function forEachSeed(
  t: Deno.TestContext,
  work: (random: Random, directory: string, unpack: Unpack) => Promise<void>,
): Promise<void> {
  await using engine = createLayerEngine();
  for (const seed of seeds) {
    await t.step(`seed ${seed}`, async () => {
      await using scratch = await scratchDirectory();
      try {
        await work(new Random(seed), scratch.path, unpacker(engine));
      } catch (error) {
        throw new Error(`LAMINA_TEST_SEED=${seed}: ${messageOf(error)}`, { cause: error });
      }
    });
  }
}

function unpacker(engine: LayerEngine): Unpack {
  return async (tar, directory, whiteouts, lowers = []) => {
    await Deno.mkdir(directory, { recursive: true });
    const { warnings } = await engine.unpack({
      blob: { source: ReadableStream.from([tar]), compression: "none" },
      directory,
      whiteouts,
      lowers: () => Promise.resolve(lowers),
    }, testOperation());
    assertEquals(warnings, []);
  };
}

/** The lines that differ are enough to know, the others are thousands. */
function assertSameLines(actual: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.filter((line) => !actual.includes(line));
  const surplus = actual.filter((line) => !wanted.includes(line));
  assertEquals({ missing, surplus }, { missing: [], surplus: [] });
  assertEquals(actual.length, wanted.length);
}

rootTest("A random tree comes back from its archive as it was", async (t) => {
  await forEachSeed(t, async (random, directory, unpack) => {
    const tree = `${directory}/tree`, back = `${directory}/back`;
    await Deno.mkdir(tree);
    changeRandomly(tree, random, 300);
    setRandomTimes(tree, random);
    const tar = joined(treeTar({ root: tree, path: "/" }));
    await unpack(tar, back, "overlay");
    assertSameLines(await describeTree(back), await describeTree(tree));
    assertEquals([...compareChanges({ kind: "compare", tree: back, parent: tree })], []);
    assertEquals(joined(treeTar({ root: back, path: "/" })), tar);
  });
});

/** Random layers, each made through a mount on those before. */
async function randomStack(random: Random, directory: string, count: number): Promise<OverlaySource> {
  const layers: string[] = [];
  for (let index = 0; index < count; index++) {
    const upper = `${directory}/layer${index}`;
    await sh(directory, `mkdir -p layer${index} work${index} mnt`);
    if (index === 0) {
      changeRandomly(upper, random, 150);
      setRandomTimes(upper, random);
    } else {
      const lower = layers.toReversed().join(":");
      const options =
        `lowerdir=${lower},upperdir=${upper},workdir=work${index},metacopy=off,redirect_dir=off,index=off`;
      await sh(directory, `mount -t overlay o -o ${options} mnt`);
      try {
        changeRandomly(`${directory}/mnt`, random, 60);
      } finally {
        await sh(directory, "umount mnt");
      }
    }
    layers.push(upper);
  }
  return { kind: "overlay", upper: layers.pop()!, lowers: layers.reverse(), form: "overlay" };
}

rootTest("A random upper directory comes back from its diff, as a layer and on a copy of its parent", async (t) => {
  await forEachSeed(t, async (random, directory, unpack) => {
    const source = await randomStack(random, directory, 2 + random.below(3));
    const tar = joined(overlayTar(source));
    const wanted = await withOverlay(directory, [source.upper, ...source.lowers], describeTree);

    const layer = `${directory}/again`;
    await unpack(tar, layer, "overlay", source.lowers);
    assertSameLines(await withOverlay(directory, [layer, ...source.lowers], describeTree), wanted);
    assertEquals(joined(overlayTar({ ...source, upper: layer })), tar);

    const copy = `${directory}/copy`;
    await withOverlay(directory, source.lowers, (parent) => Promise.resolve(copyTree(parent, copy)));
    await unpack(tar, copy, "delete");
    assertSameLines(await describeTree(copy), wanted);
  });
});

rootTest("The changes of an upper directory are those between the mounted trees", async (t) => {
  await forEachSeed(t, async (random, directory) => {
    const source = await randomStack(random, directory, 2 + random.below(3));
    const native = [...overlayChanges(source)];
    const parent = `${directory}/parent`;
    await withOverlay(directory, source.lowers, (view) => Promise.resolve(copyTree(view, parent)));
    await withOverlay(directory, [source.upper, ...source.lowers], (tree) => {
      const compared = [...compareChanges({ kind: "compare", tree, parent })];
      const of = (list: readonly TreeChange[], kind: string) => list.filter((c) => c.kind === kind).map((c) => c.path);
      for (const kind of ["added", "deleted"]) assertEquals(of(native, kind), of(compared, kind));
      // A file that was copied up and is as before is "modified" for one and the same for the other.
      const modified = new Set(of(native, "modified"));
      assertEquals(of(compared, "modified").filter((path) => !modified.has(path)), []);
      return Promise.resolve();
    });
  });
});

rootTest("A random change of a copied tree comes back from its diff on another copy", async (t) => {
  await forEachSeed(t, async (random, directory, unpack) => {
    const parent = `${directory}/parent`, tree = `${directory}/tree`, again = `${directory}/again`;
    await Deno.mkdir(parent);
    changeRandomly(parent, random, 200);
    setRandomTimes(parent, random);
    copyTree(parent, tree);
    copyTree(parent, again);
    changeRandomly(tree, random, 80);
    await unpack(joined(compareTar({ kind: "compare", tree, parent })), again, "delete");
    assertSameLines(await describeTree(again), await describeTree(tree));
  });
});
