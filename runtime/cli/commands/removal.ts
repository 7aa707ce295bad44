/** What removals and prunes print. */
import type { RemovalResult } from "../../core/specs/image.ts";
import { humanSize } from "../human.ts";
import type { Output } from "../output.ts";

/** @param sum Also say how much was freed, even when that is nothing. */
export function printRemoval(output: Output, result: RemovalResult, sum = false): void {
  if (output.asJson) return output.json(result);
  if (output.quiet) return result.deleted.forEach((id) => output.line(id));
  for (const reference of result.untagged) output.line(`untagged ${reference}`);
  for (const id of result.deleted) output.line(`deleted ${id}`);
  if (sum) output.line(`freed ${humanSize(result.reclaimed_bytes)}`);
}
