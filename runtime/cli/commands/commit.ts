/** `lamina container commit` and `lamina image commit`: one command under two names. */
import type { Image } from "../../core/specs/image.ts";
import { apiPath } from "../client.ts";
import type { FlagTable, FlagValues } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../parse.ts";

/** Flags of both. */
export const COMMIT_FLAGS = {
  ref: { kind: "text", value: "NAME:TAG", help: "Name of the new image (or the second argument)" },
  author: { kind: "text", value: "TEXT", help: "Who made it" },
  message: { kind: "text", short: "m", value: "TEXT", help: "What was done" },
  change: {
    kind: "list",
    short: "c",
    value: "LINE",
    help: "CMD, ENTRYPOINT, ENV, LABEL, USER, WORKDIR… as in a Dockerfile",
  },
} as const satisfies FlagTable;

/** See the head of the file. */
export async function commitContainer(context: Context<FlagValues<typeof COMMIT_FLAGS>>): Promise<void> {
  const { arguments: [container, second], flags, output, signal, client, progress } = context;
  if (second !== undefined && flags.ref !== undefined && second !== flags.ref) {
    throw new UsageError(`The new image has two names: ${second} and ${flags.ref}`, "give one of them");
  }
  const body = {
    reference: second ?? flags.ref,
    author: flags.author,
    message: flags.message,
    changes: flags.change,
  };
  const bars = progress();
  try {
    const path = apiPath`/v1/containers/${container!}/commit`;
    const image = await (await client()).withProgress<Image>("POST", path, { body, signal }, bars.update);
    bars.done();
    if (output.asJson) output.json(image);
    else output.line(image.id);
  } finally {
    bars.done();
  }
}
