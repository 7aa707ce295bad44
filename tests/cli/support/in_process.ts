/** Runs a command of the table in this process, against a router, and records what it writes. */
import type { Logger } from "../../../runtime/api/log.ts";
import { silentLogger } from "../../../runtime/api/log.ts";
import { Router } from "../../../runtime/api/router.ts";
import { Client } from "../../../runtime/cli/client.ts";
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
  const out: string[] = [];
  const err: string[] = [];
  const log: Logger = silentLogger();
  const router = new Router({ runtime, checkAnswers: true });
  try {
    const invocation = parseCommandLine(COMMANDS, args);
    if (invocation.kind === "help") return { code: 0, out: "", err: "help", error: undefined, runtime };
    const { globals, flags, command } = invocation;
    const output: Output = {
      terminal: false,
      asJson: globals.json,
      quiet: globals.quiet,
      line: (text = "") => out.push(text),
      json: (value) => out.push(JSON.stringify(value)),
      document: (value) => out.push(JSON.stringify(value, null, 2)),
      table: (columns, rows) => out.push(...tableLines(columns, rows)),
      note: (text) => globals.quiet || err.push(text),
      warn: (text) => err.push(text),
    };
    const place = { socket: "/s", root: "/r", daemonOnly: false, embedded: true, socketGiven: false, rootGiven: false };
    await using context = openContext({
      arguments: invocation.arguments,
      flags,
      output,
      log,
      signal: new AbortController().signal,
      place,
      openClient: () =>
        Promise.resolve(
          new Client({
            kind: "daemon",
            place: "/s",
            fetch: router.fetch,
            [Symbol.asyncDispose]: () => Promise.resolve(),
          }),
        ),
    });
    const code = await command.run(context) ?? 0;
    return { code, out: out.join("\n"), err: err.join("\n"), error: undefined, runtime };
  } catch (error) {
    return { code: exitCodeOf(error), out: out.join("\n"), err: err.join("\n"), error, runtime };
  }
}
