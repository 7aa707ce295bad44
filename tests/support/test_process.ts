/** One test module in a process of its own: bounded in time, looked after, and looked behind. */
import { parseJunit, type TestCase } from "./junit.ts";
import { mountsUnder, processesWith } from "./machine_state.ts";
import { runCommand } from "../../runtime/host/command.ts";

/** What became of a module. */
export interface ModuleResult {
  /** Path from the project's directory. */
  readonly file: string;
  readonly cases: readonly TestCase[];
  /** What is wrong besides failed tests: a time-out, a crash, something left behind. */
  readonly problems: readonly string[];
  /** Both outputs of the process, as they came. */
  readonly output: string;
  readonly duration_ms: number;
}

/** How a module is run. */
export interface ModuleOptions {
  /** A directory of the module's own; looked through and removed afterwards. */
  readonly directory: string;
  readonly timeout_ms: number;
  /** Ends the process and everything that it started. */
  readonly signal: AbortSignal;
  /** More for `deno test`. */
  readonly args?: readonly string[];
}

const markVariable = "LAMINA_TEST_MODULE";

/** Runs `file` with `deno test`. Never throws for what the module does. */
export async function runTestModule(file: string, options: ModuleOptions): Promise<ModuleResult> {
  const { directory } = options;
  await Deno.mkdir(`${directory}/tmp`, { recursive: true });
  const report = `${directory}.xml`;
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--junit-path", report, ...(options.args ?? []), file],
    env: {
      NO_COLOR: "1",
      LAMINA_TEST_SCRATCH: directory,
      // Not those of the machine, nor of another test's dockerd.
      LAMINA_VOLUME_PLUGINS: `${directory}/plugins`,
      TMPDIR: `${directory}/tmp`,
      [markVariable]: directory,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const timeout = AbortSignal.timeout(options.timeout_ms);
  const signal = AbortSignal.any([options.signal, timeout]);
  const end = () => killGroup(child.pid);
  signal.addEventListener("abort", end, { once: true });
  const chunks: string[] = [];
  const outputs = Promise.all([collect(child.stdout, chunks), collect(child.stderr, chunks)]);
  const status = await child.status;
  signal.removeEventListener("abort", end);
  const duration_ms = performance.now() - begun;

  const problems: string[] = [];
  if (timeout.aborted) problems.push(`did not end within ${options.timeout_ms / 1000} s and was killed`);
  else if (options.signal.aborted) problems.push("interrupted");
  problems.push(...await lookBehind(directory));
  await outputs;
  const cases = await readReport(report);
  const failed = cases.some(({ result }) => result === "failed");
  if (problems.length === 0 && !failed) {
    if (!status.success) problems.push(`ended with status ${status.code} although no test failed`);
    else if (cases.length === 0) problems.push("holds no test");
  }
  return { file, cases, problems, output: chunks.join(""), duration_ms };
}

/** Ends, unmounts and removes what is left, and says what that was. */
async function lookBehind(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const { pid, command } of await processesWith(markVariable, directory)) {
    found.push(`process left: ${pid} ${command.slice(0, 200)}`);
    kill(pid);
  }
  for (const target of (await mountsUnder(directory)).reverse()) {
    found.push(`mount left: ${target}`);
    await runCommand("umount", ["-l", "--", target]);
  }
  for (const place of [directory, `${directory}/tmp`]) {
    for await (const { name } of Deno.readDir(place)) {
      if (name === "tmp") continue;
      found.push(
        `left in ${place === directory ? "the scratch" : "TMPDIR"}: ${name}${await contentsOf(`${place}/${name}`)}`,
      );
    }
  }
  const { code, stderr } = await runCommand("rm", ["-rf", "--one-file-system", "--", directory]);
  if (code !== 0) found.push(`cannot be removed: ${stderr.trim()}`);
  return found;
}

/** The first names in a directory, for whoever wonders who left it. */
async function contentsOf(path: string): Promise<string> {
  const info = await Deno.lstat(path);
  if (!info.isDirectory) return ` (${info.size} bytes)`;
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  return ` (${names.length === 0 ? "empty" : names.sort().slice(0, 8).join(", ")})`;
}

async function readReport(path: string): Promise<TestCase[]> {
  try {
    const cases = parseJunit(await Deno.readTextFile(path));
    await Deno.remove(path);
    return cases;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function collect(stream: ReadableStream<Uint8Array>, chunks: string[]): Promise<void> {
  const limit_chunks = 20_000;
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    if (chunks.length < limit_chunks) chunks.push(text);
  }
}

function killGroup(pid: number): void {
  kill(-pid);
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch { /* ended meanwhile */ }
}
