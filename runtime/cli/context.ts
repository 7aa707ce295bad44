/** What a command works with. */
import type { Logger } from "../api/log.ts";
import { type BackendOptions, openBackend } from "./backend.ts";
import { Client } from "./client.ts";
import type { Output } from "./output.ts";
import { type ProgressDisplay, progressDisplay } from "./progress_bar.ts";

/** Given to every command's `run`. */
export interface Context<F> {
  readonly arguments: readonly string[];
  readonly flags: F;
  readonly output: Output;
  readonly log: Logger;
  /** Aborts at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Where the daemon and the root are. */
  readonly place: Omit<BackendOptions, "log">;
  /** The API; opened at the first call, closed after the command. */
  client(): Promise<Client>;
  /** Bars for this command; nothing with `--quiet`, `--json` or in a pipe. */
  progress(): ProgressDisplay;
}

/** A context and what it holds open. */
export interface OpenContext<F> extends Context<F>, AsyncDisposable {}

/** See {@linkcode Context}. */
export function openContext<F>(
  parts: Omit<Context<F>, "client" | "progress"> & { readonly openClient?: () => Promise<Client> },
): OpenContext<F> {
  let client: Promise<Client> | undefined;
  const open = parts.openClient ?? (async () => new Client(await openBackend({ ...parts.place, log: parts.log })));
  return {
    ...parts,
    client: () => client ??= open(),
    progress: () => progressDisplay(parts.output.quiet || parts.output.asJson),
    async [Symbol.asyncDispose]() {
      // What it failed with was thrown to whoever asked for it.
      const opened = await client?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}
