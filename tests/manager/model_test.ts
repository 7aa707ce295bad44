/**
 * Random pods, faults, kills, reboots and mounts of others on a fake machine: the invariants hold at each step, and when
 * it calms down everything is as it is wanted. A failure names its seed; `LAMINA_MODEL_SEED=N` runs that one, and
 * `LAMINA_MODEL_RUNS=N` more of them.
 */
import { say } from "../support/say.ts";
import { assertEquals } from "@std/assert";
import type { WantedVolume } from "../../runtime/volume/manager/port.ts";
import { Model } from "./support/model.ts";
import { volume } from "./support/real_manager.ts";
import { type Random, random } from "./support/random.ts";

const STEPS = 120;
const only = Deno.env.get("LAMINA_MODEL_SEED");
const runs = Number(Deno.env.get("LAMINA_MODEL_RUNS") ?? 40);
const seeds = only === undefined ? Array.from({ length: runs }, (_, i) => i + 1) : [Number(only)];

for (const seed of seeds) {
  Deno.test(`the manager keeps its invariants, seed ${seed}`, async () => {
    const log: string[] = [];
    try {
      await run(random(seed), log);
    } catch (error) {
      say(log.slice(-40).join("\n"));
      throw error;
    }
  });
}

async function run(dice: Random, log: string[]): Promise<void> {
  const model = new Model();
  const { node } = model;
  model.start();
  model.tell([]);
  let faults = 0;
  node.fault = (what) => {
    const fault = dice.chance(faults)
      ? dice.pick(["before", "after", "slow", "slow", "die before", "die after"] as const)
      : "none";
    if (fault !== "none") log.push(`  ${fault}: ${what}`);
    return fault;
  };
  model.journalFault = () => dice.chance(faults / 4);
  for (let step = 0; step < STEPS; step++) {
    faults = dice.chance(0.5) ? 0.08 : 0;
    node.lookCost_ms = dice.pick([0, 0, 0, 5, 30, 100]);
    const what = act(model, dice);
    log.push(`${step} at ${node.now_ms}: ${what}`);
    await node.settle();
    if (dice.chance(0.6)) await node.advance(dice.pick([1, 30, 150, 1000, 6000, 20_000]));
    if (model.isDead) restart(model, dice, log);
    await node.settle();
    model.check();
    assertEquals(node.violations, [], `step ${step}`);
  }
  faults = 0;
  // Somebody cleans up behind themselves.
  node.busy.clear();
  for (const { target, foreign } of [...node.table].reverse()) if (foreign) node.unmountNow(target);
  if (model.isDead) restart(model, dice, log);
  log.push("calm");
  await node.advance(400_000);
  model.check();
  assertEquals(node.violations, []);
  assertEquals(model.differences(), [], "everything as it is wanted");
  for (const uid of [...model.wanted.keys()]) model.release(uid);
  await node.advance(400_000);
  assertEquals(node.violations, []);
  assertEquals(model.differences(), [], "nothing is left");
  assertEquals(node.table, []);
  await model.manager[Symbol.asyncDispose]();
}

/** Does something, and says what. */
function act(model: Model, dice: Random): string {
  const { node, wanted } = model;
  const uid = `p${dice.below(5)}`;
  switch (
    dice.pick(
      [
        "desire",
        "desire",
        "desire",
        "release",
        "release",
        "umount",
        "cover",
        "uncover",
        "busy",
        "touch",
        "die",
        "reboot",
      ] as const,
    )
  ) {
    case "desire": {
      const volumes = someVolumes(dice);
      model.desire(uid, volumes);
      return `desire ${uid} ${volumes.map(({ spec }) => `${spec.name}=${JSON.stringify(spec.source)}`).join(" ")}`;
    }
    case "release":
      if (!wanted.has(uid)) return "nothing";
      model.release(uid);
      return `release ${uid}`;
    case "umount": {
      const target = someMount(model, dice, false);
      if (target === undefined) return "nothing";
      node.takenAway.add(target);
      node.unmountNow(target);
      return `somebody unmounts ${target}`;
    }
    case "cover": {
      const target = someMount(model, dice, false);
      // What was not looked at yet cannot be told from ours after a kill.
      // Between the look and the unmount nobody can be told from us either: the kernel unmounts by path.
      const isBusy = model.manager.operations().some(({ state }) => state === "running");
      if (target === undefined || isBusy || !isNoted(model, target)) return "nothing";
      node.mountNow({ type: "tmpfs", source: "strange", target }, true);
      return `somebody covers ${target}`;
    }
    case "uncover": {
      const target = someMount(model, dice, true);
      if (target !== undefined) node.unmountNow(target);
      return `somebody uncovers ${target}`;
    }
    case "busy": {
      const target = someMount(model, dice, false);
      if (target === undefined) return "nothing";
      if (!node.busy.delete(target)) node.busy.add(target);
      return `busy or not: ${target}`;
    }
    case "touch":
      model.manager.objectChanged({ kind: "ConfigMap", namespace: "", name: String(dice.below(3)) });
      return "an object changes";
    case "die":
      node.kill();
      return "killed";
    case "reboot":
      node.kill();
      node.reboot();
      model.devices.attached.clear();
      return "reboot";
  }
}

function restart(model: Model, dice: Random, log: string[]): void {
  log.push("  starts again");
  model.start();
  model.tell(dice.shuffled([...model.wanted.keys()]));
}

function someVolumes(dice: Random): WantedVolume[] {
  const kinds = ["bind", "files", "device", "disk"] as const;
  return Array.from({ length: 1 + dice.below(4) }, (_, i) => {
    const kind = dice.pick(kinds);
    const name = dice.below(3);
    // The third of each is one pod's at a time.
    const access = name === 2 ? "ReadWriteOncePod" : "ReadWriteOnce";
    return volume(`v${i}`, { [kind]: name }, { access_modes: [access] });
  });
}

function someMount({ node }: Model, dice: Random, foreign: boolean): string | undefined {
  const targets = node.table.map(({ target }) => target).filter((target) => node.top(target)!.foreign === foreign);
  return targets.length === 0 ? undefined : dice.pick(targets);
}

function isNoted({ volumeRows, deviceRows, node }: Model, target: string): boolean {
  const top = node.top(target)!;
  return [...volumeRows.values(), ...deviceRows.values()].some(({ entry, boot }) =>
    boot === node.boot &&
    entry.places.some((place) =>
      place.target === target && place.seen?.device === top.device && place.seen.root === top.root
    )
  );
}
