/** One suite of test modules in a guest of its own. */
import { commandOutput } from "../../runtime/host/command.ts";
import type { ModuleResult } from "../support/test_process.ts";
import type { GuestImage } from "./guest_image.ts";
import type { GuestSuite } from "./guest_suites.ts";
import { type GuestResult, runGuest } from "./run_guest.ts";

/** Begins a line with a result. */
export const RESULT_MARK = "\u001elamina-result ";
/** Where the guest's disk for tests is mounted. */
export const SCRATCH = "/scratch";
/** The program that runs inside. */
export const INSIDE = "tests/vm/run_suite_inside.ts";

// Emulation is about ten times slower than the host.
const moduleTimeout_ms = 1_800_000;
const suiteTimeout_ms = 3_600_000;

/** A shell command that gives the guest Deno's cache, and the tests a journaled disk. */
export function prepareGuest(scratchDevice: string): string {
  return `set -e; export DENO_DIR=/tmp/deno-dir; cp -a /tree/.deno-dir $DENO_DIR; ` +
    `mount -o noatime,discard ${scratchDevice} ${SCRATCH}; rm -rf ${SCRATCH}/lost+found; export TMPDIR=/tmp`;
}

/** A sparse file with a journaled file system, for `/scratch`. */
export async function makeScratchDisk(path: string): Promise<void> {
  await commandOutput("truncate", ["-s", "12G", path]);
  await commandOutput("mke2fs", ["-q", "-t", "ext4", "-F", "-N", "600000", path]);
}

/**
 * Runs the suite. Every file of it has a result, whatever became of the machine.
 *
 * @param tree Image of the project, see `guest_tree.ts`.
 * @param directory A directory of the suite's own, for its disk.
 */
export async function runGuestSuite(
  suite: GuestSuite,
  image: GuestImage,
  tree: string,
  directory: string,
  options: { readonly signal: AbortSignal; readonly done: (result: ModuleResult) => void },
): Promise<ModuleResult[]> {
  const disk = `${directory}/scratch.img`;
  await makeScratchDisk(disk);
  const results: ModuleResult[] = [];
  const lines = new LineReader((line) => {
    if (!line.startsWith(RESULT_MARK)) return;
    const result: ModuleResult = JSON.parse(line.slice(RESULT_MARK.length));
    results.push(result);
    options.done(result);
  });
  const begun = performance.now();
  const ended = await runGuest({
    image,
    tree,
    command: `${prepareGuest("/dev/vdc")}; deno run -A --no-check --cached-only ${INSIDE} ${moduleTimeout_ms} ${
      suite.files.join(" ")
    }`,
    disks: [{ path: disk }],
    memory_mib: suite.memory_mib,
    timeout_ms: suiteTimeout_ms,
    signal: options.signal,
    output: (text, stream) => {
      if (stream === "stdout") lines.push(text);
    },
  });
  for (const file of suite.files) {
    if (results.some((result) => result.file === file)) continue;
    const result = lost(file, ended, performance.now() - begun);
    results.push(result);
    options.done(result);
  }
  return results;
}

/** The result of a module that the guest never told. */
function lost(file: string, { status, reason, output, console }: GuestResult, duration_ms: number): ModuleResult {
  const why = status === undefined ? `the guest ${reason}` : `the guest's runner ended with status ${status}`;
  const said = output.split("\n").filter((line) => !line.startsWith(RESULT_MARK)).slice(-60).join("\n");
  return { file, cases: [], problems: [why], output: `${said}\n${console}`, duration_ms };
}

/** Cuts a stream of text into lines. */
class LineReader {
  #rest = "";

  constructor(readonly line: (line: string) => void) {}

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.line(line);
  }
}
