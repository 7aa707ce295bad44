/**
 * `deno task test [--no-check] [PATH…]`: everything that a change must pass, on this machine and in CI.
 *
 * Installs what is missing, checks the types once, then runs every test module in a process of its own, as many at a
 * time as there are cores, on one scratch file system; those that need another kernel run in QEMU guests meanwhile.
 * With root it does so in a mount namespace of its own, whose mount table it compares at the end, so that nothing else
 * on the machine disturbs the proof that nothing is left.
 */
import { join, relative } from "@std/path/posix";
import { againInside, canUnshare, isInside } from "./support/mount_namespace.ts";
import { cacheDirectory } from "./support/cache_directory.ts";
import { ensurePackages } from "./support/packages.ts";
import { bold, duration, green, red, say, yellow } from "./support/say.ts";
import { type MachineState, machineState, stateDifferences } from "./support/machine_state.ts";
import { suiteScratch } from "./support/suite_scratch.ts";
import { type ModuleResult, runTestModule } from "./support/test_process.ts";
import { runGuestPart } from "./vm/guest_part.ts";
import { needsGuest } from "./vm/guest_suites.ts";

// Generous: guests are busy beside the modules.
const moduleTimeout_ms = 1_500_000;
// More failures than these are no accident of timing.
const maxSecondAttempts = 5;
const inCi = Deno.env.get("CI") === "true";
const project = join(import.meta.dirname!, "..");
const durationsFile = join(cacheDirectory(), "test_durations.json");

/** Runs the suite and returns the exit status. */
async function main(args: readonly string[]): Promise<number> {
  Deno.chdir(project);
  const root = Deno.uid() === 0;
  if (!isInside) {
    await ensurePackages("test");
    if (await canUnshare()) return await againInside(args);
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.abort());
  }
  if (!root) say(yellow("Without root: tests that need it are skipped. As root all of them run."));
  if (!args.includes("--no-check") && !await typesAreRight()) {
    say("0 passed, 1 failed");
    return 1;
  }
  const paths = args.filter((arg) => !arg.startsWith("--"));
  const files = await testModules(paths.length === 0 ? ["tests"] : paths);
  if (files.length === 0) {
    say(red(`No test module (*_test.ts) in ${paths.join(" ")}`));
    return 1;
  }
  const before = await machineState();
  const { results, unsteady } = await runAll(files, root, interrupted.signal);
  // Among others' mounts, and without the right to make one, there is nothing to prove.
  const left = isInside || inCi ? await lastingDifferences(before) : [];
  return report(results, unsteady, left, interrupted.signal.aborted);
}

async function typesAreRight(): Promise<boolean> {
  const begun = performance.now();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--lock=deno.lock", "--frozen", "."],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) say(`types checked in ${duration(performance.now() - begun)}`);
  else say(new TextDecoder().decode(stderr));
  return success;
}

/** Every `*_test.ts` in `paths`, the one that took longest last time first. */
async function testModules(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  const visit = async (path: string) => {
    if ((await Deno.stat(path)).isFile) {
      files.push(relative(project, await Deno.realPath(path)));
      return;
    }
    for await (const entry of Deno.readDir(path)) {
      if (entry.isDirectory || entry.name.endsWith("_test.ts")) await visit(`${path}/${entry.name}`);
    }
  };
  for (const path of paths) await visit(path);
  const known = await readDurations();
  // A module that nobody has timed may be long: it comes first.
  return [...new Set(files)].sort().sort((a, b) => (known[b] ?? Infinity) - (known[a] ?? Infinity) || 0);
}

/** What became of the modules. */
interface Outcome {
  readonly results: readonly ModuleResult[];
  /** First attempts of modules that passed at the second one, by themselves. */
  readonly unsteady: readonly ModuleResult[];
}

async function runAll(files: readonly string[], root: boolean, signal: AbortSignal): Promise<Outcome> {
  await using scratch = await suiteScratch(root);
  const lanes = Number(Deno.env.get("LAMINA_TEST_JOBS")) || Math.max(2, navigator.hardwareConcurrency);
  say(`${files.length} test modules, ${lanes} at a time, on ${scratch.description}`);
  const results = await runModules(files, scratch.path, lanes, signal);
  await writeDurations(results);
  const failed = results.filter((result) => count(result, "failed") > 0);
  if (signal.aborted || failed.length === 0 || failed.length > maxSecondAttempts) return { results, unsteady: [] };
  say(bold(yellow(`${failed.length} failed: once more, one at a time`)));
  const second = await runModules(failed.map(({ file }) => file), `${scratch.path}/b`, 1, signal);
  const passed = new Set(second.filter((result) => count(result, "failed") === 0).map(({ file }) => file));
  return {
    results: [...results.filter((result) => count(result, "failed") === 0), ...second],
    unsteady: failed.filter(({ file }) => passed.has(file)),
  };
}

async function runModules(
  files: readonly string[],
  scratch: string,
  lanes: number,
  signal: AbortSignal,
): Promise<ModuleResult[]> {
  await Deno.mkdir(scratch, { recursive: true });
  const results: ModuleResult[] = [];
  const done = (result: ModuleResult) => {
    results.push(result);
    showModule(result);
  };
  const queue = files.filter((file) => !needsGuest(file)).entries();
  const lane = async () => {
    for (const [index, file] of queue) {
      if (signal.aborted) return;
      done(await runTestModule(file, { directory: `${scratch}/${index}`, timeout_ms: moduleTimeout_ms, signal }));
    }
  };
  const guests = () => runGuestPart(files.filter(needsGuest), { scratch, moduleTimeout_ms, signal, done });
  if (lanes === 1) {
    await lane();
    await guests();
  } else await Promise.all([guests(), ...Array.from({ length: lanes }, lane)]);
  return results;
}

function count(result: ModuleResult, which: "passed" | "failed" | "skipped"): number {
  const cases = result.cases.filter((c) => c.result === which).length;
  return which === "failed" ? cases + result.problems.length : cases;
}

function showModule(result: ModuleResult): void {
  const failed = count(result, "failed");
  const mark = failed > 0 ? red("FAIL") : green(" ok ");
  const skipped = count(result, "skipped");
  const numbers = `${count(result, "passed")} passed${failed ? `, ${failed} failed` : ""}${
    skipped ? `, ${skipped} skipped` : ""
  }`;
  say(`${mark} ${result.file}  ${numbers}  (${duration(result.duration_ms)})`);
  if (failed === 0) return;
  say(result.output.trimEnd());
  for (const problem of result.problems) say(red(`${result.file}: ${problem}`));
}

/** A case of a shared suite that has no meaning for one of its subjects: no machine could run it. */
function doesNotApply(name: string): boolean {
  return name.includes("(does not apply");
}

/** A loop device frees itself some moments after its last user: what is gone in ten seconds is not left. */
async function lastingDifferences(before: MachineState): Promise<string[]> {
  for (let tries = 100;; tries--) {
    const left = differences(before, await machineState());
    if (left.length === 0 || tries === 0) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function differences(before: MachineState, after: MachineState): string[] {
  const lines = stateDifferences(before, after);
  // In CI nothing else uses the machine. Elsewhere the loop devices of others come and go, and the kernel takes the
  // copies of their mounts out of this namespace when they remove the mount points.
  return inCi ? lines : lines.filter((line) => line.startsWith("mount left"));
}

function report(
  results: readonly ModuleResult[],
  unsteady: readonly ModuleResult[],
  left: readonly string[],
  interrupted: boolean,
): number {
  const total = { passed: 0, failed: left.length, skipped: 0 };
  const skips: string[] = [];
  const inapplicable: string[] = [];
  for (const result of results) {
    for (const which of ["passed", "failed", "skipped"] as const) total[which] += count(result, which);
    for (const { name, result: outcome } of result.cases) {
      if (outcome === "skipped") (doesNotApply(name) ? inapplicable : skips).push(`${result.file}: ${name}`);
    }
  }
  if (skips.length > 0) {
    say(bold(yellow(inCi ? "Skipped, which CI does not accept:" : "Skipped:")));
    skips.forEach((line) => say(`  ${line}`));
  }
  if (inapplicable.length > 0) say(bold("Does not apply anywhere:"));
  inapplicable.forEach((line) => say(`  ${line}`));
  if (left.length > 0) say(bold(red("The suite left the machine changed:")));
  left.forEach((line) => say(`  ${line}`));
  const failures = results.filter((result) => count(result, "failed") > 0);
  if (unsteady.length > 0) {
    listFailures(yellow("Unsteady: passed only at the second attempt, which is a defect:"), unsteady);
  }
  if (failures.length > 0) listFailures(red("Failed:"), failures);
  else if (left.length === 0) say("mount table and loop devices are as they were found");
  if (inCi) {
    total.failed += skips.length;
    total.skipped -= skips.length;
  }
  if (interrupted) say(red("Interrupted: not every module was run"));
  say(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
  if (interrupted) return 130;
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

function listFailures(title: string, results: readonly ModuleResult[]): void {
  say(bold(title));
  for (const { file, cases, problems } of results) {
    cases.filter((c) => c.result === "failed").forEach(({ name }) => say(`  ${file}: ${name}`));
    problems.forEach((problem) => say(`  ${file}: ${problem}`));
  }
}

async function readDurations(): Promise<Record<string, number>> {
  try {
    return JSON.parse(await Deno.readTextFile(durationsFile));
  } catch {
    return {};
  }
}

async function writeDurations(results: readonly ModuleResult[]): Promise<void> {
  const known = await readDurations();
  for (const { file, duration_ms } of results) known[file] = Math.round(duration_ms);
  await Deno.mkdir(cacheDirectory(), { recursive: true });
  await Deno.writeTextFile(durationsFile, JSON.stringify(known));
}

Deno.exit(await main(Deno.args));
