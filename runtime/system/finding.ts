/** What a check found, together with what makes it go away. */
import { messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { CheckResult } from "../core/specs/system.ts";
import type { Finding } from "../../drivers/storage/port.ts";

/** A finding that may know its own cure. */
export interface CurableFinding extends Omit<Finding, "repairable"> {
  /** Absent: nothing can be done here without touching user data. */
  readonly repair?: () => Promise<unknown>;
}

/** A line of the check's result. */
export type ReportedFinding = CheckResult["findings"][number];

/** The findings as they are reported, cured where that is asked for. One that resists says why. */
export async function reportFindings(
  findings: readonly CurableFinding[],
  options: { readonly repair: boolean },
  operation: Operation,
): Promise<ReportedFinding[]> {
  const reported: ReportedFinding[] = [];
  for (const { repair, kind, object, message } of findings) {
    const line = { kind, object, message, repairable: repair !== undefined, repaired: false };
    if (options.repair && repair !== undefined) {
      operation.signal.throwIfAborted();
      try {
        await repair();
        line.repaired = true;
      } catch (error) {
        line.message = `${message}. Not repaired: ${messageOf(error)}`;
      }
    }
    reported.push(line);
  }
  return reported;
}
