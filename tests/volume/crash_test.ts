import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { messageOf } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { contentOf, removeAll, STEPS } from "./support/crash_scenario.ts";

const victim = fromFileUrl(new URL("./support/crash_victim.ts", import.meta.url));
const project = fromFileUrl(new URL("../..", import.meta.url));
/** The points that the scenario of tests/crash does not pass. */
const POINTS = FAULT_POINTS.filter((point) =>
  /^volume\.(sized|image|rename|renamed|resize|restore|snapshot|directory_made|create_begun)/.test(point)
);
/** More passes of one point than this and something goes round in circles. */
const MAX_PASSES = 12;

async function play(root: string, fault: string): Promise<{ done: number; killed: boolean }> {
  const { stdout, stderr, signal, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", victim, root],
    cwd: project,
    env: { RUST_BACKTRACE: "0", LAMINA_FAULT: fault },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (signal !== "SIGKILL" && !success) throw new Error(`the victim failed at ${fault}: ${text(stderr)}`);
  return { done: text(stdout).split("\n").filter(Boolean).length, killed: signal === "SIGKILL" };
}

/** What was acknowledged is there; what was not is as before or as after; nothing is half there; nothing is left. */
async function prove(root: string, done: number): Promise<void> {
  {
    await using runtime = await createRuntime({ root });
    const { findings } = await runtime.system.check({ repair: false, deep: false }, backgroundOperation());
    assertEquals(findings.map(({ kind, object, message }) => `${kind} ${object}: ${message}`), []);
    const before: Record<string, string> = {};
    for (const step of STEPS.slice(0, done)) Object.assign(before, step.after);
    const after = { ...before, ...STEPS[done]?.after };
    for (const name of new Set([...Object.keys(after), ...runtime.volumes.list().map(({ name }) => name)])) {
      const found = await contentOf(runtime, name);
      const allowed = [before[name] ?? "absent", after[name] ?? "absent"];
      // A write is no call of ours: what it left when the process was killed is its own affair.
      if (STEPS[done]?.run.toString().includes("write(")) allowed.push("empty", "");
      assert(allowed.includes(found), `volume ${name} has ${found}, not ${allowed.join(" or ")}`);
    }
    await removeAll(runtime);
  }
  for (const directory of ["volumes", "staging", "trash"]) {
    assertEquals([...Deno.readDirSync(join(root, directory))].map(({ name }) => name), [], directory);
  }
  assertEquals(mountsBelow(readMountTable(), root).map(({ target }) => target), []);
}

for (const type of ["xfs", "btrfs"] as const) {
  rootTest(`a SIGKILL at every point of a volume's life on ${type} loses and leaves nothing`, async () => {
    await using scratch = await scratchDirectory();
    const fs = join(scratch.path, "fs"), image = join(scratch.path, "image");
    await Deno.mkdir(fs);
    await commandOutput("truncate", ["-s", "1G", image]);
    await commandOutput(`mkfs.${type}`, ["-q", image]);
    await commandOutput("mount", ["-o", "loop", image, fs]);
    const failures: string[] = [], unreached: string[] = [];
    let rounds = 0;
    const visit = async (point: string) => {
      for (let pass = 1; pass <= MAX_PASSES; pass++) {
        const root = join(fs, `round${rounds++}`);
        const { done, killed } = await play(root, `${point}:${pass}`);
        if (!killed) {
          if (pass === 1) unreached.push(point);
          assertEquals(done, STEPS.length);
        } else {
          await prove(root, done).catch((error) => {
            failures.push(`${point}:${pass} after step ${done}: ${messageOf(error)}`);
          });
        }
        if (!killed) break;
      }
    };
    const points = POINTS.values();
    await Promise.all(Array.from({ length: 2 }, async () => {
      for (const point of points) await visit(point);
    }));
    assertEquals(failures, []);
    assertEquals(unreached, []);
  });
}
