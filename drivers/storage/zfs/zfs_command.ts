/** Runs `zfs` and `zpool`. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { type CommandResult, runCommand } from "../../../runtime/host/command.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { meaningOfFailure } from "./zfs_text.ts";

/** Milliseconds. A pool whose disks are gone makes every command wait for ever. */
const TIMEOUT_MS = 60_000;
/** A listing of very many datasets. */
const MAX_OUTPUT_BYTES = 64 << 20;

/**
 * The standard output of `zfs` or `zpool`.
 *
 * @param attempted What was attempted, e.g. `Cannot make the dataset tank/lamina/1`.
 * @throws as {@linkcode meaningOfFailure} says; `UNSUPPORTED` when the program is not installed, `DEADLINE_EXCEEDED`.
 */
export async function zfs(
  program: "zfs" | "zpool",
  args: readonly string[],
  attempted: string,
  operation: Operation,
): Promise<string> {
  const options = { signal: operation.signal, timeout_ms: TIMEOUT_MS, maxOutput_bytes: MAX_OUTPUT_BYTES };
  let result: CommandResult;
  try {
    result = await runCommand(program, args, options);
  } catch (error) {
    throw hostError(error, attempted);
  }
  const { code, stdout, stderr } = result;
  if (code === 0) return stdout;
  const said = stderr.trim().replaceAll(/\s+/g, " ").slice(0, 1000);
  const { code: errorCode, advice } = meaningOfFailure(said);
  throw new LaminaError(
    errorCode,
    `${attempted}: ${said || `${program} ended with status ${code}`}${advice && `. ${advice}`}`,
    {
      details: { program, status: code },
    },
  );
}
