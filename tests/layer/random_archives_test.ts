/**
 * Random archives, each upon the ones before, unpacked as layers of an overlay and into a copy of their parent: both
 * have to show the same tree. `LAMINA_TEST_SEED=N` repeats one.
 */
import { assertEquals } from "@std/assert";
import { commandOutput } from "../../runtime/host/command.ts";
import { printTree } from "../contract/support/tree_print.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { apply } from "./support/apply.ts";
import { withOverlay } from "./support/overlays.ts";
import { Random } from "./support/random_trees.ts";
import { archive, dir, file, type HandEntry, opaque, symlink, whiteout } from "./support/tar_builder.ts";

const HISTORIES = 20;
const LAYERS = 3;
const given = Deno.env.get("LAMINA_TEST_SEED");

rootTest("random archives show the same tree as layers of an overlay and in a copy of their parent", async (t) => {
  const seeds = given === undefined
    ? Array.from({ length: HISTORIES }, () => Math.floor(Math.random() * 2 ** 31))
    : [Number(given)];
  for (const seed of seeds) await t.step(`seed ${seed}`, () => compare(new Random(seed)));
});

async function compare(random: Random): Promise<void> {
  await using scratch = await scratchDirectory();
  const lowers: string[] = [];
  const told: string[] = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    const entries = Array.from({ length: 2 + random.below(6) }, (_, i) => drawEntry(random, `${layer}.${i}`));
    told.push(entries.map(({ name, type }) => `${type ?? "0"}:${name}`).join(" "));
    const [own, copy] = [`${scratch.path}/layer${layer}`, `${scratch.path}/copy${layer}`];
    await apply(archive(entries), own, { lowers: [...lowers] });
    if (layer > 0) await commandOutput("cp", ["-a", `${scratch.path}/copy${layer - 1}`, copy]);
    await apply(archive(entries), copy, { form: "delete" });
    lowers.unshift(own);
    const look = (path: string) => Promise.resolve([...printTree(path, { times: true })]);
    assertEquals(await withOverlay(scratch.path, lowers, look), await look(copy), told.join("\n"));
  }
}

/** Links have a name of their own, `l`: entries go below it, whiteouts do not (what they mean there is anybody's guess). */
function drawEntry(random: Random, content: string): HandEntry {
  let path = random.pick("abc".split(""));
  while (random.once(2)) path += `/${random.pick("abc".split(""))}`;
  const mtime = 1_600_000_000 + random.below(1_000_000);
  const dice = random.below(12);
  if (dice > 9) return symlink("l", random.pick(["d", "../d", "/d/e", "nowhere"]), { mtime });
  if (dice > 6) return dice === 7 ? opaque(random.once(4) ? "" : path) : whiteout(random.once(4) ? "l" : path);
  if (random.once(4)) path = `l/${path}`;
  if (dice < 3) return file(path, content, { mtime });
  if (dice < 6) return dir(path, { mtime, mode: 0o700 + random.below(64), uid: random.below(3) });
  return { name: path, type: "6", mtime };
}
