/** Flags that every command takes. */
import type { FlagTable, FlagValues } from "./command.ts";

/** Where a root is unless somebody says otherwise. */
export const DEFAULT_ROOT = "/var/lib/lamina";
/** Where the daemon listens unless somebody says otherwise. */
export const DEFAULT_SOCKET = "/run/lamina/lamina.sock";

/** See the head of the file. */
export const GLOBAL_FLAGS = {
  socket: {
    kind: "text",
    value: "PATH",
    help: `Socket of the daemon (LAMINA_SOCKET; default ${DEFAULT_SOCKET})`,
    complete: "file",
  },
  root: {
    kind: "text",
    value: "DIR",
    help: `Root directory where no daemon runs (LAMINA_ROOT; default ${DEFAULT_ROOT})`,
    complete: "directory",
  },
  embedded: { kind: "switch", help: "Open the root in this process, without a daemon" },
  json: { kind: "switch", help: "Print the API's JSON" },
  quiet: { kind: "switch", short: "q", help: "Print names only, and no progress" },
  "log-level": {
    kind: "text",
    value: "LEVEL",
    help: "debug, info, warn, error or off",
    choices: ["debug", "info", "warn", "error", "off"],
  },
  help: { kind: "switch", short: "h", help: "Explain the command" },
} as const satisfies FlagTable;

/** Their values. */
export type GlobalFlags = FlagValues<typeof GLOBAL_FLAGS>;
