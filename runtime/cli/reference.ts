/** The command line's reference as Markdown, from the command table. Pure. */
import type { Command } from "./command.ts";
import { COMMANDS } from "./command_table.ts";
import { GLOBAL_FLAGS } from "./global_flags.ts";
import { exampleLine, flagRows, TAGLINE, usageLine } from "./help.ts";

/** One page: every command with its arguments, flags and examples. */
export function commandReference(commands: readonly Command[] = COMMANDS): string {
  const shown = commands.filter((command) => !command.hidden);
  return [
    "# The command line",
    "",
    `${TAGLINE} Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unavailable, 130 interrupted.`,
    "",
    ...shown.map((command) => `- [lamina ${command.words.join(" ")}](#${anchor(command)}): ${command.summary}`),
    "",
    "## Flags of every command",
    "",
    ...table(["flag", "meaning"], flagRows(GLOBAL_FLAGS)),
    ...shown.flatMap(section),
    "",
  ].join("\n");
}

function section(command: Command): string[] {
  const { arguments: args, flags, examples } = command;
  return [
    "",
    `## lamina ${command.words.join(" ")}`,
    "",
    `${command.summary}.${command.description === undefined ? "" : ` ${command.description}`}`,
    "",
    "```",
    usageLine(command),
    "```",
    ...(args.length === 0 ? [] : ["", ...table(["argument", "meaning"], args.map(({ name, help }) => [name, help]))]),
    ...(Object.keys(flags).length === 0 ? [] : ["", ...table(["flag", "meaning"], flagRows(flags))]),
    "",
    "```sh",
    ...examples.map(([line, what]) => `${exampleLine(command, line)}  # ${what}`),
    "```",
  ];
}

function anchor(command: Command): string {
  return ["lamina", ...command.words].join("-");
}

function table(titles: readonly [string, string], rows: ReadonlyArray<readonly [string, string]>): string[] {
  const cell = (text: string) => text.trim().replaceAll("|", "\\|");
  return [
    `| ${titles.join(" | ")} |`,
    "|---|---|",
    ...rows.map(([left, right]) => `| \`${cell(left)}\` | ${cell(right)} |`),
  ];
}
