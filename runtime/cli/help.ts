/** Help texts from the command table. Pure. */
import type { Command, FlagTable } from "./command.ts";
import { GLOBAL_FLAGS } from "./global_flags.ts";

/** What the program does, in a line. */
export const TAGLINE = "Lamina: the storage half of a container engine.";

/** Help for `lamina`, a noun, or a command. */
export function helpText(table: readonly Command[], words: readonly string[]): string {
  const command = table.find((row) => row.words.join(" ") === words.join(" "));
  const lines = command === undefined ? overview(table, words) : commandHelp(command);
  return lines.join("\n");
}

/** `lamina image import SRC [flags]` */
export function usageLine(command: Command): string {
  const parts = command.arguments.map(({ name, optional, repeated }) => {
    const many = repeated ? `${name}…` : name;
    return optional ? `[${many}]` : many;
  });
  return ["lamina", ...command.words, ...parts, ...(Object.keys(command.flags).length > 0 ? ["[flags]"] : [])].join(
    " ",
  );
}

/** Name and help of each flag: `["-o, --output FILE", "file or -"]`. */
export function flagRows(flags: FlagTable): Array<[string, string]> {
  return Object.entries(flags).map(([name, flag]) => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    const value = flag.kind === "switch" ? "" : ` ${flag.value}`;
    const many = flag.kind === "list" ? " (may be repeated)" : "";
    const standard = flag.kind === "text" && flag.default !== undefined ? ` (default ${flag.default})` : "";
    return [`${short}--${name}${value}`, `${flag.help}${many}${standard}`];
  });
}

/** An example as it is typed. Examples may begin with another program. */
export function exampleLine(command: Command, example: string): string {
  return example.startsWith(command.words[0]!) ? `lamina ${example}` : example;
}

function overview(table: readonly Command[], words: readonly string[]): string[] {
  const shown = table.filter((row) => !row.hidden && words.every((word, i) => row.words[i] === word));
  const nouns = [
    ...new Set(shown.filter((row) => row.words.length > words.length + 1).map((r) => r.words[words.length]!)),
  ];
  const direct = shown.filter((row) => row.words.length === words.length + 1);
  const call = ["lamina", ...words].join(" ");
  const rows: Array<[string, string]> = [
    ...nouns.map((noun): [string, string] => {
      const verbs = shown.filter((row) => row.words[words.length] === noun).map((row) => row.words.at(-1)!);
      return [noun, verbs.join(", ")];
    }),
    ...direct.map((row): [string, string] => [row.words.at(-1)!, row.summary]),
  ];
  const examples = words.length === 0 ? FIRST_STEPS : direct.slice(0, 3).map((row) => row.examples[0]!);
  return [
    ...(words.length === 0 ? [TAGLINE, ""] : []),
    `Usage: ${call} COMMAND`,
    "",
    "Commands:",
    ...aligned(rows),
    "",
    "Flags of every command:",
    ...aligned(flagRows(GLOBAL_FLAGS)),
    "",
    "Examples:",
    ...aligned(examples.map(([line, what]): [string, string] => [`lamina ${line}`, what])),
    "",
    `${call} COMMAND --help explains one of them.`,
  ];
}

const FIRST_STEPS: ReadonlyArray<readonly [string, string]> = [
  ["serve", "start the daemon"],
  ["image import web.tar --ref web:1", "an image in"],
  ["container create web:1 --name shop -v data:/data", "a container of it, with a volume"],
  ["container mount shop", "its root file system, ready for crun, runc or chroot"],
];

function commandHelp(command: Command): string[] {
  const section = (title: string, rows: ReadonlyArray<readonly [string, string]>) =>
    rows.length === 0 ? [] : ["", title, ...aligned(rows)];
  return [
    command.summary,
    "",
    `Usage: ${usageLine(command)}`,
    ...(command.description === undefined ? [] : ["", ...wrapped(command.description)]),
    ...section("Arguments:", command.arguments.map(({ name, help }) => [name, help])),
    ...section("Flags:", flagRows(command.flags)),
    ...section("Flags of every command:", flagRows(GLOBAL_FLAGS)),
    ...section("Examples:", command.examples.map(([line, what]) => [exampleLine(command, line), what])),
  ];
}

function aligned(rows: ReadonlyArray<readonly [string, string]>): string[] {
  const width = Math.min(44, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.flatMap(([left, right]) =>
    left.length > width
      ? [`  ${left}`, `  ${"".padEnd(width)}  ${right}`.trimEnd()]
      : [`  ${left.padEnd(width)}  ${right}`.trimEnd()]
  );
}

function wrapped(text: string, width = 100): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
