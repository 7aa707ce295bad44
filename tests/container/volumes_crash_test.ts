import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { runCommand } from "../../runtime/host/command.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { live } from "./support/volumes_victim.ts";

const victim = fromFileUrl(new URL("./support/volumes_victim.ts", import.meta.url));
const POINTS = FAULT_POINTS.filter((name) => /^(container\.|volume\.(data_gone|remove_finished))/.test(name));
const FILES = 50;
const MAX_PASSES = 8;

const filesOf = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name);

rootTest(
  "a SIGKILL at any step of a container with volumes to fill leaves each volume whole, empty or not there, and no other trace",
  async () => {
    await using test = await TestRuntime.open();
    const files = (top: string) => Array.from({ length: FILES }, (_, i) => [`${top}/f${i}`, `${i}\n`]);
    const layer = Object.fromEntries([...files("many"), ...files("more"), ...files("data")]);
    await test.importImage("many:1", [layer]);
    const host = test.hostDirectory("host");
    await Deno.writeTextFile(join(host, "keep"), "keep\n");
    const reached = new Set<string>();
    for (const point of POINTS) {
      for (let pass = 1; pass <= MAX_PASSES; pass++) {
        const where = `${point}:${pass}`;
        await test.runtime.volumes.create({ name: "older" }, test.operation);
        await test.runtime[Symbol.asyncDispose]();
        const args = ["run", "-A", "--quiet", "--no-check", victim, test.root, host];
        const env = { LAMINA_FAULT: where, RUST_BACKTRACE: "0" };
        const { code, stdout, stderr } = await runCommand(Deno.execPath(), args, { env, timeout_ms: 120_000 });
        const killed = code === 137 || code < 0;
        assert(killed || code === 0, `${where}: ${code} ${stderr}`);
        await test.reopen();
        if (killed) {
          reached.add(point);
          await prove(test, stdout.split("\n").filter(Boolean), where);
        }
        await takeAway(test, host, where);
        if (!killed) break;
      }
    }
    assertEquals(POINTS.filter((point) => !reached.has(point)), []);
  },
);

/** What must hold after a start on what the killed process left. */
async function prove(test: TestRuntime, told: readonly string[], where: string): Promise<void> {
  const { containers, volumes } = test.runtime;
  const there = containers.list()[0];
  if (told.includes("created") && !told.includes("removing")) assert(there !== undefined, `${where}: no container`);
  if (told.includes("removed")) assert(there === undefined, `${where}: it is still there`);
  const all = volumes.list();
  for (const volume of all) {
    const found = filesOf(volume.mountpoint).length;
    const whole = found === FILES || (volume.name === "older" && !told.includes("created") && found === 0);
    assert(whole, `${where}: volume ${volume.name} has ${found} files`);
  }
  const names = all.filter(({ anonymous }) => !anonymous).map(({ name }) => name);
  const made = told.includes("created") || there !== undefined;
  assertEquals(names, made ? ["fresh", "older"] : ["older"], where);
  const anonymous = all.filter((volume) => volume.anonymous).length;
  assertEquals(anonymous, there === undefined ? 0 : 1, `${where}: anonymous volumes`);
  assertEquals(await test.check(), [], where);
}

/** Everything can be done again, and taken away without a trace. */
async function takeAway(test: TestRuntime, host: string, where: string): Promise<void> {
  await live(test.runtime, host, () => {});
  for (const name of ["fresh", "older"]) {
    assertEquals(filesOf(test.runtime.volumes.inspect(name).mountpoint).length, FILES, `${where}: ${name}`);
    await test.runtime.volumes.remove(name, test.operation);
  }
  assertEquals(test.runtime.volumes.list(), [], where);
  assertEquals(await test.check(), [], where);
  for (const directory of ["containers", "volumes", "staging", "trash"]) {
    assertEquals(filesOf(join(test.root, directory)), [], `${where}: ${directory}`);
  }
  assertEquals(filesOf(host), ["keep"], where);
}
