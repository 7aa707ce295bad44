/** What Lamina acknowledged survives a power cut (`LAMINA_TEST_SEED=N` repeats the moments). */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../layer/support/random_trees.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { makeGuestTree } from "./guest_tree.ts";
import { type CutMoment, live, makeDurableDisk } from "./power_cut.ts";
import { guestTest, testGuest } from "./test_guest.ts";

const program = "tests/vm/lamina_life.ts";
const seed = Number(Deno.env.get("LAMINA_TEST_SEED") ?? Math.floor(Math.random() * 2 ** 31));

guestTest(`what was acknowledged is there after power cuts, and nothing half done (seed ${seed})`, async () => {
  await using scratch = await scratchDirectory();
  const [tree, disk] = [`${scratch.path}/tree.erofs`, `${scratch.path}/disk`];
  await makeGuestTree(tree, [program]);
  await makeDurableDisk(disk, "2G");
  const machine = { image: await testGuest(), tree, disk, timeout_ms: 900_000 };
  const random = new Random(seed);
  // The first cut falls into the first import or soon after it, the second anywhere.
  const moments: CutMoment[] = [
    { marker: "proved", delay_ms: random.below(8000) },
    { marker: "ack ", delay_ms: random.below(8000) },
  ];
  const acknowledged = new Set<string>();
  const run = async (life: string, moment?: CutMoment) => {
    const command = `LAMINA_TEST_SCRATCH=/tmp deno run -A --no-check --cached-only ${program} /durable/root ${life} '${
      JSON.stringify([...acknowledged])
    }'`;
    const ended = await live(machine, command, moment);
    const what = `LAMINA_TEST_SEED=${seed}, life ${life}: ${ended.complaints}`;
    assert(ended.stdout.includes("proved\n"), what);
    for (const [, kind, name] of ended.stdout.matchAll(/^(?:ack )?(\w+) (\S+)\n/gm)) {
      // From here on it may be there or not.
      if (kind === "removing") acknowledged.delete(`container ${name}`);
      else acknowledged.add(`${kind} ${name}`);
    }
    return { ...ended, what };
  };
  for (const [index, moment] of moments.entries()) {
    const { cut, what } = await run(String(index), moment);
    assert(cut, what);
  }
  const { status, what } = await run("last");
  assertEquals(status, 0, what);
  assert(acknowledged.size > 0, "something was acknowledged before the last cut");
});
