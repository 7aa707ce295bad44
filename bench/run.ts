/**
 * `deno task bench [NAME…] [--source]`: every `*_bench.ts` under `deno bench`, on a journaled disk of its own, with a
 * daemon of its own; then the project's targets beside what was measured.
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path/posix";
import { startLamina } from "../tests/e2e/lamina_process.ts";
import { project } from "../tests/architecture/sources.ts";
import { compile } from "../tests/support/compile.ts";
import { againInside, canUnshare, isInside } from "../tests/support/mount_namespace.ts";
import { ensurePackages } from "../tests/support/packages.ts";
import { bold, dim, green, red, say } from "../tests/support/say.ts";
import { type BenchDisk, benchDisk } from "./support/bench_disk.ts";
import { debianImage } from "./support/debian_image.ts";
import { observe } from "./support/observations.ts";
import { readRecord } from "./support/recorder.ts";
import { otherFigures, verdicts } from "./support/report.ts";

const { _: names, source } = parseArgs(Deno.args, { boolean: ["source"] });

async function main(): Promise<number> {
  if (Deno.uid() !== 0) {
    say(red("The benchmarks mount file systems: please run them as root."));
    return 1;
  }
  if (!isInside) {
    await ensurePackages("bench");
    if (await canUnshare()) return await againInside(Deno.args);
  }
  const image = await debianImage();
  const binary = source ? undefined : (await compile(Deno.build.arch)).path;
  await using disk = await benchDisk();
  const record = join(disk.path, "record");
  await Deno.writeTextFile(record, "");
  for (const name of benchFiles()) await runBench(name, disk, record, binary);
  if (names.length > 0) return 0;
  const seen = await observe(disk.path, image, binary);
  const samples = await readRecord(record);
  say();
  say(bold(`Targets (Lamina ${binary === undefined ? "from source" : "compiled"})`));
  const lines = verdicts(samples, seen);
  for (const { what, measured, target, met } of lines) {
    say(`  ${met ? green("met   ") : red("missed")} ${what}: ${bold(measured)}, target at most ${target}`);
  }
  say();
  for (const line of otherFigures(samples, seen)) say(dim(`  ${line}`));
  return lines.every(({ met }) => met) ? 0 : 1;
}

function benchFiles(): string[] {
  return [...Deno.readDirSync(join(project, "bench"))].map(({ name }) => name)
    .filter((name) => name.endsWith("_bench.ts"))
    .filter((name) => names.length === 0 || names.some((wanted) => name.startsWith(String(wanted))))
    .sort();
}

async function runBench(name: string, disk: BenchDisk, record: string, binary: string | undefined): Promise<void> {
  const directory = join(disk.path, name.replace("_bench.ts", ""));
  await Deno.mkdir(join(directory, "files"), { recursive: true });
  await using lamina = await startLamina(directory, { binary });
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["bench", "-A", "--no-check", join(project, "bench", name)],
    cwd: project,
    env: {
      LAMINA_BENCH_SOCKET: lamina.socket,
      LAMINA_BENCH_DIRECTORY: join(directory, "files"),
      LAMINA_BENCH_RECORD: record,
    },
    stdin: "null",
  }).spawn().status;
  if (!success) throw new Error(`bench/${name} failed`);
}

// With targets missed the status is 1, for whoever wants to watch them; it is no test.
Deno.exit(await main());
