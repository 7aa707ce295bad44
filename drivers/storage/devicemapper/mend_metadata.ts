/** Checks the metadata of a pool that is not active, and repairs it into a spare place where it has to. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";

/** Milliseconds for a pass over the metadata of a large pool. */
const PATIENCE_MS = 3_600_000;

/**
 * @param metadata Node of the metadata in use; left as it is when it is damaged.
 * @param spare Node of as much room for a repaired copy.
 * @returns `moved`: the metadata to use is now in `spare`.
 * @throws `UNSUPPORTED` without thin-provisioning-tools, `DATA_LOSS` when nothing could be saved.
 */
export async function mendMetadata(
  metadata: string,
  spare: string,
  pool: string,
  { signal }: Operation,
): Promise<{ moved: boolean; message: string }> {
  const run = (program: string, args: readonly string[]) => runTool(program, args, pool, signal);
  // It clears the kernel's flag only when all is well.
  const check = await run("thin_check", ["--clear-needs-check-flag", metadata]);
  if (check.code === 0) return { moved: false, message: "its metadata was checked and is in order" };
  const repair = await run("thin_repair", ["-i", metadata, "-o", spare]);
  const recheck = repair.code === 0 ? await run("thin_check", ["--clear-needs-check-flag", spare]) : repair;
  if (recheck.code === 0) return { moved: true, message: "its metadata was damaged and has been repaired" };
  throw new LaminaError(
    "DATA_LOSS",
    `Cannot open the pool on ${pool}: its metadata is damaged (${firstLine(check.stderr)}) and thin_repair cannot ` +
      `mend it (${firstLine(repair.stderr || recheck.stderr)}). Restore it from a backup`,
    { details: { pool } },
  );
}

async function runTool(program: string, args: readonly string[], pool: string, signal: AbortSignal) {
  try {
    return await runCommand(program, args, { signal, timeout_ms: PATIENCE_MS });
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot open the pool on ${pool}: its metadata has to be checked, and ${program} is not installed. Install the ` +
        "package thin-provisioning-tools and start again",
      { cause: error, details: { pool, program } },
    );
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]?.slice(0, 200) ?? "";
}
