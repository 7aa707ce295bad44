/** A random history of layers, first lived by plain directories. */
import { commandOutput } from "../../runtime/host/command.ts";
import { printTree } from "../contract/support/tree_print.ts";
import type { Random } from "../layer/support/random_trees.ts";
import { draw, type DrawOptions, perform, severalNames, type TimedOperation } from "./operations.ts";

/** One layer: what it is made on, what is done, what comes out. */
export interface LayerPlan {
  readonly name: string;
  readonly parent?: string;
  readonly operations: readonly TimedOperation[];
  /** Whether its archive is taken before the commit. */
  readonly archivedEarly: boolean;
  /** The oracle's tree, as `printTree` prints it. */
  readonly print: ReadonlyMap<string, string>;
}

/** How long a history is. */
export interface ScenarioSize {
  readonly layers: number;
  readonly operations: number;
  /** Which operations occur; absent: all. */
  readonly allows?: DrawOptions["allows"];
  /** The tree is mounted anew after every removal. */
  readonly mountedAnew?: boolean;
}

/** The operations of a plan, by the mounts in which they are done. */
export function sessionsOf({ operations }: LayerPlan, { mountedAnew }: ScenarioSize): TimedOperation[][] {
  const sessions: TimedOperation[][] = [[]];
  for (const operation of operations) {
    sessions.at(-1)!.push(operation);
    if (mountedAnew && (operation.kind === "remove" || operation.kind === "replace")) sessions.push([]);
  }
  return sessions;
}

/** Draws a history and plays it on plain directories below `directory`. */
export async function drawScenario(random: Random, directory: string, size: ScenarioSize): Promise<LayerPlan[]> {
  const plans: LayerPlan[] = [];
  for (let index = 0; index < size.layers; index++) {
    const name = `l${index}`, tree = `${directory}/${name}`;
    // Mostly a chain, now and then a branch.
    const parent = plans.length === 0 ? undefined : random.once(4) ? random.pick(plans).name : plans.at(-1)!.name;
    if (parent === undefined) await Deno.mkdir(tree);
    else await commandOutput("cp", ["-a", "--", `${directory}/${parent}`, tree]);
    const untouchable = severalNames(tree);
    const operations: TimedOperation[] = [];
    for (let dice = 0; operations.length < size.operations && dice < size.operations * 20; dice++) {
      const operation = draw(tree, random, { untouchable, allows: size.allows });
      if (operation === undefined) continue;
      perform(tree, operation);
      operations.push(operation);
    }
    const print = printTree(tree, { times: true });
    plans.push({ name, parent, operations, archivedEarly: random.once(2), print });
  }
  return plans;
}
