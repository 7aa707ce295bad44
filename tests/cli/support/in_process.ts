/** Runs a command of the table in this process, against a router, and records what it writes. */
import type { Logger } from "../../../runtime/api/log.ts";
import { silentLogger } from "../../../runtime/api/log.ts";
import { Router } from "../../../runtime/api/router.ts";
import { openBackend } from "../../../runtime/cli/backend.ts";
import { type Backend, Client } from "../../../runtime/cli/client.ts";
import { COMMANDS } from "../../../runtime/cli/command_table.ts";
import { openContext } from "../../../runtime/cli/context.ts";
import { exitCodeOf } from "../../../runtime/cli/errors.ts";
import type { Output } from "../../../runtime/cli/output.ts";
import { parseCommandLine } from "../../../runtime/cli/parse.ts";
import { tableLines } from "../../../runtime/cli/table.ts";
import { type FakeRuntime, fakeRuntime } from "../../api/support/fake_runtime.ts";

/** What a command left. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly error: unknown;
  readonly runtime: FakeRuntime;
}

/** Runs `lamina ARGS`. */
export async function lamina(args: readonly string[], runtime: FakeRuntime = fakeRuntime()): Promise<Ran> {
  const router = new Router({ runtime, checkAnswers: true });
  const backend = () =>
    Promise.resolve({
      kind: "daemon" as const,
      place: "/s",
      fetch: router.fetch,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  return { ...await laminaWith(args, backend), runtime };
}

/** Runs `lamina ARGS` against a daemon. What reads standard input needs a process of its own. */
export function laminaAt(socket: string, args: readonly string[]): Promise<Omit<Ran, "runtime">> {
  const place = { socket, root: "/nowhere", daemonOnly: true, embedded: false, socketGiven: true, rootGiven: false };
  return laminaWith(args, () => openBackend({ ...place, log: silentLogger() }));
}

async function laminaWith(args: readonly string[], backend: () => Promise<Backend>): Promise<Omit<Ran, "runtime">> {
  const out: string[] = [];
  const err: string[] = [];
  const log: Logger = silentLogger();
  try {
    const invocation = parseCommandLine(COMMANDS, args);
    if (invocation.kind === "help") return { code: 0, out: "", err: "help", error: undefined };
    const { globals, flags, command } = invocation;
    const output: Output = {
      terminal: false,
      asJson: globals.json,
      quiet: globals.quiet,
      line: (text = "") => void out.push(text),
      json: (value) => void out.push(JSON.stringify(value)),
      document: (value) => void out.push(JSON.stringify(value, null, 2)),
      table: (columns, rows) => void out.push(...tableLines(columns, rows)),
      note: (text) => globals.quiet || err.push(text),
      warn: (text) => void err.push(text),
    };
    const place = { socket: "/s", root: "/r", daemonOnly: false, embedded: true, socketGiven: false, rootGiven: false };
    await using context = openContext({
      arguments: invocation.arguments,
      flags,
      output,
      log,
      signal: new AbortController().signal,
      place,
      openClient: async () => new Client(await backend()),
    });
    const code = await command.run(context) ?? 0;
    return { code, out: out.join("\n"), err: err.join("\n"), error: undefined };
  } catch (error) {
    return { code: exitCodeOf(error), out: out.join("\n"), err: err.join("\n"), error };
  }
}
