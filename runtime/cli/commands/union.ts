/** `lamina union …` */
import { resolve } from "@std/path/posix";
import { formatBranches, parseBranches } from "../../../drivers/storage/aufs/branch_union.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Union } from "../../core/specs/union.ts";
import { apiPath } from "../client.ts";
import { type Command, command } from "../command.ts";
import type { Listing } from "../format.ts";
import { UsageError } from "../parse.ts";
import { FORMAT_FLAG, listPrinter } from "../print_list.ts";

const mountUnion = command({
  words: ["union", "mount"],
  summary: "Show several directories as one; the same again is success",
  description: "The first branch hides what has the same name in the others. New files go to the first branch that " +
    "is rw; without a word the first branch is rw and the others are ro.",
  arguments: [{ name: "TARGET", help: "an empty directory" }],
  flags: {
    branch: {
      kind: "list",
      short: "b",
      value: "DIR=ro|rw",
      help: "A directory, topmost first; several with : between",
    },
  },
  examples: [
    ["union mount --branch dir1=ro --branch dir2=rw /mnt", "dir1 is not written to, new files land in dir2"],
    ["union mount --branch dir1=ro:dir2=rw /mnt", "the same, as for mount -t aufs -o br="],
  ],
  async run({ arguments: [target], flags, output, signal, client }) {
    const branches = branchesOf(flags.branch);
    const body = { branches, target: resolve(target!) };
    const union = await (await client()).json<Union>("POST", "/v1/unions", { body, signal });
    if (output.asJson) output.json(union);
    else output.line(union.target);
  },
});

const unmountUnion = command({
  words: ["union", "unmount"],
  summary: "Take a union away; its branches stay as they are",
  arguments: [{ name: "TARGET", help: "where it is mounted, or its id" }],
  flags: { lazy: { kind: "switch", help: "Detach it also while it is in use" } },
  examples: [["union unmount /mnt", "what was written stays in its branches"]],
  async run({ arguments: [target], flags, signal, client }) {
    const union = /^[0-9a-f]{16}$/.test(target!) ? target! : resolve(target!);
    await (await client()).json("DELETE", `${apiPath`/v1/unions/${union}`}?lazy=${flags.lazy}`, { signal });
  },
});

const listUnions = command({
  words: ["union", "ls"],
  summary: "List unions",
  flags: FORMAT_FLAG,
  examples: [["union ls", "targets, branches, what unites them"]],
  async run({ flags, output, signal, client }) {
    const print = listPrinter(output, flags.format, unionListing, ({ target }) => target);
    print(await (await client()).json<Union[]>("GET", "/v1/unions", { signal }));
  },
});

const unionListing: Listing<Union> = {
  columns: [
    { title: "TARGET", value: ({ target }) => target },
    { title: "BRANCHES", value: ({ branches }) => formatBranches(branches) },
    { title: "BY", value: ({ program }) => program },
    { title: "MOUNTED", value: ({ mounted }) => mounted ? "yes" : "no" },
  ],
  keys: ["id", "program", "created_at"],
};

/** A command line's branches are below its own directory, not the daemon's. */
function branchesOf(texts: readonly string[]) {
  if (texts.length === 0) throw new UsageError("A union needs at least one --branch DIR=ro|rw");
  try {
    return parseBranches(texts).map(({ directory, access }) => ({ directory: resolve(directory), access }));
  } catch (error) {
    throw error instanceof LaminaError ? new UsageError(error.message) : error;
  }
}

/** See the head of the file. */
export const unionCommands: readonly Command[] = [mountUnion, unmountUnion, listUnions];
