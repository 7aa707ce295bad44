/** Runs one command line in this process. */
import { isAbsolute, resolve } from "@std/path/posix";
import { createLogger, errorChain, type LogLevel } from "../api/log.ts";
import { LaminaError } from "../core/errors.ts";
import { COMMANDS } from "./command_table.ts";
import { openContext } from "./context.ts";
import { errorLines, exitCodeOf } from "./errors.ts";
import { DEFAULT_ROOT, DEFAULT_SOCKET, type GlobalFlags } from "./global_flags.ts";
import { helpText } from "./help.ts";
import { errorLine, OutputClosed, standardOutput, style } from "./output.ts";
import { type Invocation, parseCommandLine, UsageError } from "./parse.ts";

/**
 * Runs what follows `lamina` on a command line and reports on standard output and error.
 *
 * @returns the exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unavailable, 130 or 143 interrupted.
 */
export async function run(args: readonly string[]): Promise<number> {
  let invocation: Invocation;
  try {
    invocation = parseCommandLine(COMMANDS, args[0] === "--version" ? ["version", ...args.slice(1)] : args);
  } catch (error) {
    return reportFailure(error, args.includes("--json"));
  }
  try {
    if (invocation.kind === "help") {
      const bare = args.length === 0;
      // Asked for, it is the answer; otherwise it is what was wrong.
      const text = helpText(COMMANDS, invocation.words);
      if (bare || !args.some((arg) => arg === "--help" || arg === "-h")) {
        errorLine(text);
        return 2;
      }
      standardOutput({ asJson: false, quiet: false }).line(text);
      return 0;
    }
    return await runCommandLine(invocation);
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    return reportFailure(error, invocation.kind === "run" && invocation.globals.json);
  }
}

async function runCommandLine(invocation: Extract<Invocation, { kind: "run" }>): Promise<number> {
  const { command, globals } = invocation;
  const serves = command.words[0] === "serve";
  using interrupt = serves ? undefined : new Interrupt();
  const log = createLogger({
    level: (globals["log-level"] ?? (serves ? "info" : "warn")) as LogLevel,
    format: Deno.stderr.isTerminal() ? "text" : "json",
    write: errorLine,
  });
  try {
    await using context = openContext({
      arguments: invocation.arguments,
      flags: invocation.flags,
      output: standardOutput({ asJson: globals.json, quiet: globals.quiet }),
      log,
      signal: interrupt?.signal ?? new AbortController().signal,
      place: placeOf(globals),
    });
    return await command.run(context) ?? 0;
  } catch (error) {
    if (interrupt?.exitCode !== undefined) return interrupt.exitCode;
    if (log.level === "debug" && !(error instanceof OutputClosed)) log.debug("failed", { error: errorChain(error) });
    throw error;
  }
}

/** Flags win over the environment, the environment over the defaults. */
function placeOf(globals: GlobalFlags) {
  const socket = globals.socket ?? (Deno.env.get("LAMINA_SOCKET") || undefined);
  const root = globals.root ?? (Deno.env.get("LAMINA_ROOT") || undefined);
  return {
    socket: absolute(socket ?? DEFAULT_SOCKET),
    root: absolute(root ?? DEFAULT_ROOT),
    socketGiven: socket !== undefined,
    rootGiven: root !== undefined,
    embedded: globals.embedded,
    volumePlugins: pluginPlaces(Deno.env.get("LAMINA_VOLUME_PLUGINS")),
    daemonOnly: socket !== undefined && root === undefined,
  };
}

/** Directories with `:` between them; nothing means Docker's. */
function pluginPlaces(text: string | undefined): { sockets: string[]; files: string[] } | undefined {
  if (!text) return undefined;
  const directories = text.split(":").filter((path) => path !== "").map(absolute);
  return { sockets: directories, files: directories };
}

function absolute(path: string): string {
  if (path.includes("\0")) throw new UsageError(`A path contains NUL: ${JSON.stringify(path)}`);
  return isAbsolute(path) ? path : resolve(path);
}

/** SIGINT and SIGTERM cancel the command, which rolls back; a second one ends the process at once. */
class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = ([["SIGINT", 130], ["SIGTERM", 143]] as const).map(([name, code]) =>
    [name, () => this.#interrupt(name, code)] as const
  );
  /** Set once a signal came. */
  exitCode: number | undefined;

  constructor() {
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }

  #interrupt(name: string, code: number): void {
    if (this.exitCode !== undefined) Deno.exit(code);
    this.exitCode = code;
    this.#controller.abort(new LaminaError("CANCELLED", `Interrupted by ${name}`));
  }
}

function reportFailure(error: unknown, asJson: boolean): number {
  if (asJson) {
    errorLine(JSON.stringify(error instanceof LaminaError ? error : errorShape(error)));
  } else {
    const [first, ...rest] = errorLines(error);
    errorLine(first!.replace(/^lamina:/, style("1;31", "lamina:", Deno.stderr.isTerminal())));
    for (const line of rest) errorLine(line);
  }
  return exitCodeOf(error);
}

function errorShape(error: unknown): unknown {
  return { code: "INTERNAL", message: errorLines(error)[0]!.replace(/^lamina: /, ""), details: {} };
}
