/** What must hold after a process was killed, and how it is looked at. */
import { join } from "@std/path/posix";
import { DatabaseSync } from "node:sqlite";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { mountAtTarget, mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import type { LaminaRuntime } from "../../runtime/services.ts";
import { anonymousVolume, type Effect, hasData, steps } from "./scenario.ts";
import type { Round } from "./stage.ts";

const operation = backgroundOperation();

/**
 * Starts on the root of a killed process and proves: what was acknowledged is there (promise 1); nothing is there that
 * nobody owns (2); what was mounted stayed mounted (4); data of volumes and host are untouched (5); everything can be
 * done again, and taken away again without a trace.
 */
export async function provePromises(round: Round, told: readonly string[]): Promise<void> {
  const before = rootMounts(round.root);
  {
    await using runtime = await createRuntime({ root: round.root });
    const { certain, uncertain } = expectations(round, told);
    for (const [what, there] of certain) {
      if (!uncertain.has(what)) {
        same(await isThere(runtime, what), there, `${what} must ${there ? "" : "not "}be there`);
      }
    }
    proveMountsStayed(runtime, before, uncertain);
    same(await findings(runtime), [], "check");
    await proveHost(round);
    for (const step of steps(round.stage)) await step.run(runtime);
    same(await findings(runtime), [], "check");
    await proveHost(round);
  }
  proveNothingLeft(round.root);
}

interface Expectations {
  /** `image base:1` -> whether it must be there. */
  readonly certain: ReadonlyMap<string, boolean>;
  /** What the interrupted step was about. */
  readonly uncertain: ReadonlySet<string>;
}

function expectations(round: Round, told: readonly string[]): Expectations {
  const all = steps(round.stage);
  const certain = new Map<string, boolean>();
  const uncertain = new Set<string>();
  for (const line of told) {
    const [word, index] = line.split(" ");
    const effects = all[Number(index)]?.effects ?? [];
    if (word === "try") { for (const effect of effects) uncertain.add(objectOf(effect)); }
    if (word !== "ack") continue;
    for (const effect of effects) {
      uncertain.delete(objectOf(effect));
      certain.set(objectOf(effect), effect.startsWith("+"));
    }
  }
  return { certain, uncertain };
}

function objectOf(effect: Effect): string {
  return effect.slice(1);
}

async function isThere(runtime: LaminaRuntime, what: string): Promise<boolean> {
  const [kind, name] = what.split(" ") as [string, string];
  switch (kind) {
    case "image":
      return runtime.images.list().some(({ references }) => references.includes(name));
    case "volume":
      if (name === "anonymous") return anonymousVolume(runtime.volumes) !== undefined;
      return runtime.volumes.list().some((volume) => volume.name === name);
    case "container":
      return runtime.containers.list().some((container) => container.name === name);
    case "mounted":
      return runtime.containers.list().some((container) => container.name === name && container.mounted);
    case "data":
      return await hasData(runtime, name);
    default:
      throw new Error(`nobody knows what ${what} is`);
  }
}

async function findings(runtime: LaminaRuntime): Promise<string[]> {
  const result = await runtime.system.check({ repair: false, deep: true }, operation);
  return result.findings.map(({ kind, object, message }) => `${kind} ${object}: ${message}`);
}

/** Ids of the mounts of roots: another id is another mount. */
function rootMounts(root: string): Map<string, number> {
  const table = readMountTable();
  return new Map(
    mountsBelow(table, join(root, "containers")).filter(({ target }) => target.endsWith("/rootfs")).map((
      { target },
    ) => [
      target,
      mountAtTarget(table, target)!.id,
    ]),
  );
}

/** A root in use was neither taken away nor mounted a second time over it. */
function proveMountsStayed(
  runtime: LaminaRuntime,
  before: ReadonlyMap<string, number>,
  uncertain: ReadonlySet<string>,
): void {
  const table = readMountTable();
  for (const { rootfs, name, mounted } of runtime.containers.list()) {
    if (!mounted || !before.has(rootfs) || uncertain.has(`mounted ${name}`)) continue;
    same(mountAtTarget(table, rootfs)?.id, before.get(rootfs), `the root of ${name} must be the same mount`);
    same(table.filter(({ target }) => target === rootfs).length, 1, `mounts of the root of ${name}`);
  }
}

async function proveHost({ stage }: Round): Promise<void> {
  same(await Deno.readTextFile(join(stage.host, "keep")), "keep\n", "the host's file");
  same([...Deno.readDirSync(stage.host)].length, 1, "files of the host");
}

/** Everything was removed: no mount, no row, no file. */
function proveNothingLeft(root: string): void {
  same(mountsBelow(readMountTable(), root).map(({ target }) => target), [], "mounts");
  for (const directory of ["containers", "volumes", "recipes", "staging", "trash", "drivers/overlay/l"]) {
    same([...Deno.readDirSync(join(root, directory))].map(({ name }) => name), [], directory);
  }
  const db = new DatabaseSync(join(root, "lamina.db"), { readOnly: true });
  try {
    for (const table of ["journal", "snapshots", "layers", "images", "containers", "volumes", "container_volumes"]) {
      const { n } = db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
      same(n, 0, table);
    }
  } finally {
    db.close();
  }
}

/** One line, because many rounds are reported together. */
function same(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (found !== wanted) throw new Error(`${what}: found ${found}, wanted ${wanted}`);
}
