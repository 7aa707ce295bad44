/**
 * The same random history on every driver: each layer's tree, its list of changes and its archive (applied by the next
 * driver, so that every pair of neighbours is tried) have to be what a plain directory has.
 * `LAMINA_TEST_SEED=N` repeats one.
 */
import { assertEquals } from "@std/assert";
import { messageOf } from "../../runtime/core/errors.ts";
import { apply, bytesOfStream } from "../contract/support/layer_archives.ts";
import { DriverFixture, type DriverSetup, keyOf } from "../contract/support/driver_fixture.ts";
import { printTree } from "../contract/support/tree_print.ts";
import { Random } from "../layer/support/random_trees.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { perform } from "./operations.ts";
import { drawScenario, type LayerPlan, type ScenarioSize, sessionsOf } from "./scenario.ts";

const given = Deno.env.get("LAMINA_TEST_SEED");

/** Runs `count` histories, each a step that names its seed. */
export async function compareDrivers(
  t: Deno.TestContext,
  setups: readonly DriverSetup[],
  count: number,
  size: ScenarioSize,
): Promise<void> {
  const seeds = given === undefined
    ? Array.from({ length: count }, () => Math.floor(Math.random() * 2 ** 31))
    : [Number(given)];
  const drivers = setups.map(({ factory }) => factory.name).join(", ");
  for (const seed of seeds) {
    await t.step(`seed ${seed} on ${drivers}`, async () => {
      await using scratch = await scratchDirectory();
      const plans = await drawScenario(new Random(seed), scratch.path, size);
      await using stack = new AsyncDisposableStack();
      const subjects: DriverFixture[] = [];
      for (const setup of setups) subjects.push(stack.use(await DriverFixture.create(setup)));
      try {
        for (const plan of plans) await compareLayer(subjects, plan, plans, size);
      } catch (error) {
        throw new Error(`LAMINA_TEST_SEED=${seed}: ${messageOf(error)}`, { cause: error });
      }
    });
  }
}

/** A chain made by work in containers, `made/…`, beside one made of the other drivers' archives, `applied/…`. */
async function compareLayer(
  subjects: readonly DriverFixture[],
  plan: LayerPlan,
  plans: readonly LayerPlan[],
  size: ScenarioSize,
) {
  const parent = plans.find(({ name }) => name === plan.parent);
  const archives: Uint8Array<ArrayBuffer>[] = [];
  for (const subject of subjects) {
    const what = `${subject.setup.factory.name}: ${plan.name} on ${plan.parent ?? "nothing"}`;
    const made = `made/${plan.name}`, key = `work/${plan.name}`;
    const mounts = await subject.prepare(key, parent && `made/${parent.name}`);
    for (const operations of sessionsOf(plan, size)) {
      await subject.mounted(mounts, (root) => operations.forEach((operation) => perform(root, operation)));
    }
    const archive = () => bytesOfStream(subject.driver.diff(keyOf(plan.archivedEarly ? key : made), subject.operation));
    if (plan.archivedEarly) archives.push(await archive());
    await subject.commit(made, key);
    if (!plan.archivedEarly) archives.push(await archive());
    await sameTree(subject, made, plan, what);
    const told = await subject.changes(made);
    assertEquals(untold(told, parent?.print ?? new Map(), plan.print), [], `${what}: changes that are not listed`);
  }
  for (const [index, subject] of subjects.entries()) {
    const from = (index + 1) % subjects.length;
    const what = `${subject.setup.factory.name}: ${plan.name}, applied from ${subjects[from]!.setup.factory.name}`;
    const name = `applied/${plan.name}`;
    const { warnings } = await apply(subject, name, parent && `applied/${parent.name}`, archives[from]!);
    assertEquals(warnings, [], what);
    await sameTree(subject, name, plan, what);
  }
}

async function sameTree(subject: DriverFixture, name: string, plan: LayerPlan, what: string): Promise<void> {
  const found = await subject.look(name, (root) => printTree(root, { times: true }));
  const missing = lines(plan.print).filter((line) => !lines(found).includes(line));
  const surplus = lines(found).filter((line) => !lines(plan.print).includes(line));
  assertEquals({ missing, surplus }, { missing: [], surplus: [] }, what);
}

function lines(print: ReadonlyMap<string, string>): string[] {
  return [...print].map(([path, text]) => `${path} ${text}`);
}

/** Paths that differ between two trees and that a list of changes does not account for. More may be listed. */
function untold(
  changes: readonly string[],
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const told = new Map(changes.map((line) => [line.slice(2), line[0]!]));
  const accounted = (path: string): boolean => {
    if (after.has(path)) return told.has(path) && told.get(path) !== "D";
    // A directory that is gone, or is something else now, says it for all that it held.
    for (let above = path; above !== ""; above = above.slice(0, above.lastIndexOf("/"))) {
      if (told.get(above) === "D" || (told.has(above) && !after.get(above)?.startsWith("directory"))) return true;
    }
    return false;
  };
  // The names of hard links are told by the first of them, which may be another one than before.
  const alone = (line?: string) => line?.replace(/ same as \/.*?(?= (?:user|trusted|security)\.|$)/, "");
  const different = (path: string) => alone(before.get(path)) !== alone(after.get(path));
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => path !== "/" && different(path) && !accounted(path));
}
