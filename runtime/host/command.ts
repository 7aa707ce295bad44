/** The one place that runs programs. */
import { LaminaError, messageOf } from "../core/errors.ts";
import { killTree } from "./process_tree.ts";

/** How a program is run. */
export interface CommandOptions {
  /** Kills the program with all that it started (SIGKILL) when it aborts. */
  readonly signal?: AbortSignal;
  /** Milliseconds; default 120,000. */
  readonly timeout_ms?: number;
  /** Fed to standard input, as fast as the program reads; absent: no input. */
  readonly stdin?: string | Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array<ArrayBuffer>>;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes kept of each output; the rest is dropped and marked. Default 1 MiB. */
  readonly maxOutput_bytes?: number;
  /** Standard output goes nowhere: one pipe less for a program that has nothing to say there. */
  readonly silent?: boolean;
}

/** What a program left. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program and waits for its end, whatever its exit status.
 *
 * @throws `UNSUPPORTED` when the program is not installed, `DEADLINE_EXCEEDED` when it outlives `timeout_ms`; the
 * signal's reason when that aborts.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeout_ms = options.timeout_ms ?? 120_000;
  const { signal } = options;
  signal?.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: options.silent ? "null" : "piped",
      stderr: "piped",
      cwd: options.cwd,
      env: { LC_ALL: "C", ...options.env },
    }).spawn();
  } catch (error) {
    throw spawnError(error, program, options.cwd);
  }
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<undefined>();
  let patience: ReturnType<typeof setTimeout> | undefined;
  const kill = () => {
    killTree(child.pid);
    // Even SIGKILL has to wait for a process that waits for a dead server or disk: we do not.
    patience ??= setTimeout(() => giveUp(undefined), KILL_GRACE_MS);
  };
  let late = false;
  const deadline = setTimeout(() => {
    if (signal?.aborted) return;
    late = true;
    kill();
  }, timeout_ms);
  signal?.addEventListener("abort", kill, { once: true });
  const limit_bytes = options.maxOutput_bytes ?? 1 << 20;
  const outputs = options.silent ? [child.stderr] : [child.stderr, child.stdout];
  const [stderr, stdout] = outputs.map((stream) => new Collected(stream, limit_bytes));
  const feeding = options.stdin === undefined ? undefined : feed(child.stdin, options.stdin);
  // Looked at below; until then a failure is not unhandled.
  feeding?.catch(() => {});
  try {
    const status = await Promise.race([child.status, gaveUp]);
    if (status === undefined) child.unref();
    // A grandchild may keep the pipes open: after the program's own end they get a second.
    if (!stderr!.complete || stdout?.complete === false) {
      await endedWithin(Promise.all([stderr!.ended, stdout?.ended]), OUTPUT_GRACE_MS, child);
    }
    if (late) {
      throw new LaminaError("DEADLINE_EXCEEDED", `${program} did not end within ${timeout_ms} ms and was killed`);
    }
    signal?.throwIfAborted();
    if (status!.success) await feeding;
    return { code: status!.code, stdout: stdout?.text() ?? "", stderr: stderr!.text() };
  } finally {
    clearTimeout(patience);
    clearTimeout(deadline);
    signal?.removeEventListener("abort", kill);
  }
}

/** Milliseconds that a killed program gets to disappear. */
const KILL_GRACE_MS = 2000;

/** Milliseconds that the outputs get to end after the program has. */
const OUTPUT_GRACE_MS = 1000;

function spawnError(error: unknown, program: string, cwd: string | undefined): unknown {
  if (error instanceof Deno.errors.NotFound) {
    // Deno says the same for a missing directory to run in.
    if (cwd !== undefined && !existsSync(cwd)) {
      return new LaminaError("NOT_FOUND", `Cannot run ${program} in ${cwd}: that directory does not exist`, {
        cause: error,
      });
    }
    return new LaminaError("UNSUPPORTED", `Cannot run ${program}: it is not installed`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new LaminaError("PERMISSION_DENIED", `Cannot run ${program}: permission denied`, { cause: error });
  }
  return new LaminaError("INTERNAL", `Cannot run ${program}: ${messageOf(error)}`, { cause: error });
}

function existsSync(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/**
 * The standard output of a program that must succeed.
 *
 * @throws `INTERNAL` with the program's standard error (at most 2,000 characters), or as {@linkcode runCommand}.
 */
export async function commandOutput(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(program, args, options);
  if (result.code === 0) return result.stdout;
  throw new LaminaError(
    "INTERNAL",
    `${program} failed with status ${result.code}: ${result.stderr.trim().slice(0, 2000)}`,
    {
      details: { program, status: result.code },
    },
  );
}

async function feed(
  stdin: WritableStream<Uint8Array<ArrayBuffer>>,
  input: NonNullable<CommandOptions["stdin"]>,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    if (typeof input === "string") await writer.write(new TextEncoder().encode(input));
    else if (input instanceof Uint8Array) await writer.write(input);
    else for await (const chunk of input) await writer.write(chunk);
    await writer.close();
  } catch (error) {
    // The program ended without reading all of its input: its exit status tells the story.
    if (error instanceof Deno.errors.BrokenPipe) return;
    // The input failed: the program must not take what came so far for the whole.
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

/** What a program has written so far. */
class Collected {
  readonly ended: Promise<void>;
  /** All that was written is here. */
  complete = false;
  readonly #decoder = new TextDecoder();
  #text = "";
  #size_bytes = 0;

  constructor(stream: ReadableStream<Uint8Array>, readonly limit_bytes: number) {
    this.ended = this.#collect(stream);
  }

  text(): string {
    const dropped_bytes = this.#size_bytes - this.limit_bytes;
    const dropped = dropped_bytes > 0 ? `\n… ${dropped_bytes} more bytes` : "";
    return this.#text + dropped + (this.complete ? "" : "\n(a process that it started keeps this output open)");
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    // Without the iterator of the stream, whose end costs as much as reading what a program says in most cases.
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const room_bytes = this.limit_bytes - this.#size_bytes;
      if (room_bytes > 0) this.#text += this.#decoder.decode(next.value.subarray(0, room_bytes), { stream: true });
      this.#size_bytes += next.value.length;
    }
    this.complete = true;
  }
}

async function endedWithin(outputs: Promise<unknown>, timeout_ms: number, child: Deno.ChildProcess): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    // Locked by their readers, the streams cannot be cancelled: let the process end without them.
    child.unref();
    resolve();
  }, timeout_ms);
  try {
    await Promise.race([outputs, late]);
  } finally {
    clearTimeout(timer);
  }
}
