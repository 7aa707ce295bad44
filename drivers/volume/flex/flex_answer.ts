/** What a FlexVolume driver answers: one JSON object on its standard output. Pure. */
import * as z from "zod";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { CommandResult } from "../../../runtime/host/command.ts";

const Answer = z.looseObject({
  status: z.enum(["Success", "Failure", "Not supported"]),
  message: z.string().optional(),
  /** Of attach and waitforattach: e.g. `/dev/sdb`. */
  device: z.string().optional(),
  volumeName: z.string().optional(),
  /** Of isattached. */
  attached: z.boolean().optional(),
  /** Of init. */
  capabilities: z.looseObject({
    attach: z.boolean().default(true),
    fsGroup: z.boolean().default(true),
  }).optional(),
});
/** See the head of the file. */
export type FlexAnswer = z.infer<typeof Answer>;

/** A verb of the protocol. */
export type FlexVerb =
  | "init"
  | "attach"
  | "detach"
  | "waitforattach"
  | "isattached"
  | "mountdevice"
  | "unmountdevice"
  | "mount"
  | "unmount";

/**
 * The answer; `undefined`: the driver does not support this verb, and Lamina does what is usual.
 *
 * @param driver `VENDOR/DRIVER`.
 * @throws `INTERNAL` when the driver failed, with what it says, or said nothing that is an answer.
 */
export function parseFlexAnswer(driver: string, verb: FlexVerb, result: CommandResult): FlexAnswer | undefined {
  const fail = (why: string) =>
    new LaminaError("INTERNAL", `The FlexVolume driver ${driver} failed at ${verb}: ${why}`, {
      details: { driver, verb },
    });
  const answer = Answer.safeParse(jsonOf(result.stdout));
  if (!answer.success) {
    const said = (result.stderr.trim() || result.stdout.trim()).slice(0, 300) || "nothing";
    throw fail(`it ended with status ${result.code} and gave no valid answer. It said: ${said}`);
  }
  switch (answer.data.status) {
    case "Not supported":
      return undefined;
    case "Failure":
      throw fail(answer.data.message?.slice(0, 1000) || "it gives no reason");
    case "Success":
      return answer.data;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
