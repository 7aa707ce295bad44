import { assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../runtime/cli/command_table.ts";
import { helpText } from "../../runtime/cli/help.ts";
import { counted, humanAge, humanSize, printable, shortId } from "../../runtime/cli/human.ts";
import { jsonLines } from "../../runtime/cli/json_lines.ts";
import { progressLines } from "../../runtime/cli/progress_bar.ts";
import { commandReference } from "../../runtime/cli/reference.ts";
import { tableLines } from "../../runtime/cli/table.ts";
import { bytes } from "../api/support/fake_runtime.ts";

Deno.test("sizes have three digits and a unit", () => {
  const cases = [
    [0, "0 B"],
    [1, "1 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [
      102400,
      "100 KiB",
    ],
    [1048575, "1.0 MiB"],
    [5 * 2 ** 30, "5.0 GiB"],
    [2 ** 60, "1024 PiB"],
  ] as const;
  for (const [size, text] of cases) assertEquals(humanSize(size), text);
});

Deno.test("ages have one unit", () => {
  const now_ms = Date.parse("2024-06-15T12:00:00Z");
  const cases = [
    ["2024-06-15T12:00:00Z", "now"],
    ["2024-06-15T12:00:05Z", "now"],
    ["2024-06-15T11:59:59Z", "1 second ago"],
    ["2024-06-15T11:30:00Z", "30 minutes ago"],
    ["2024-06-13T12:00:00Z", "2 days ago"],
    ["2022-01-01T00:00:00Z", "2 years ago"],
    ["nonsense", "-"],
    [undefined, "-"],
  ] as const;
  for (const [time, text] of cases) assertEquals(humanAge(time, now_ms), text);
});

Deno.test("small texts are as people say them", () => {
  assertEquals([counted(1, "layer"), counted(2, "layer")], ["1 layer", "2 layers"]);
  assertEquals(shortId(`sha256:${"ab".repeat(32)}`), "abababababab");
  assertEquals(printable("a\x1b[2Jb\x7f"), "a\\x1b[2Jb\\x7f");
});

Deno.test("tables align text left and numbers right, and have no trailing spaces", () => {
  const lines = tableLines<[string, number]>(
    [{ title: "NAME", value: ([name]) => name }, { title: "N", value: ([, n]) => n, right: true }],
    [["a", 5], ["longer", 1234]],
  );
  assertEquals(lines, ["NAME       N", "a          5", "longer  1234"]);
  assertEquals(tableLines([{ title: "A", value: () => "x" }], []), ["A"]);
});

Deno.test("progress lines fit the terminal and show the newest twelve things", () => {
  const half = { phase: "unpack", id: "sha256:ab", current: 512, total: 1024 };
  assertEquals(progressLines([half], 120), [
    `${"unpack sha256:ab".padEnd(34)} [${"=".repeat(12)}${" ".repeat(12)}] 512 B / 1.0 KiB`,
  ]);
  const narrow = progressLines([{ ...half, current: 200 * 2 ** 20, total: 300 * 2 ** 20 }], 80)[0]!;
  assertEquals([narrow.length < 80, narrow.endsWith("200 MiB / 300 MiB")], [true, true], narrow);
  const many = Array.from({ length: 20 }, (_, i) => ({ phase: "read", id: String(i), current: i }));
  const lines = progressLines(many, 40);
  assertEquals([lines.length, lines.every((line) => line.length < 40)], [12, true]);
  assertStringIncludes(progressLines([{ ...half, current: 9999, message: "exists\x1balready" }], 120)[0]!, "\\x1b");
});

Deno.test("JSON lines are read whatever way the bytes are cut", async () => {
  const values = await Array.fromAsync(jsonLines(bytes('{"a":', "1}\n\n[2", ']\n"x"')));
  assertEquals(values, [{ a: 1 }, [2], "x"]);
});

Deno.test("help names every command, its arguments, flags and an example", () => {
  const top = helpText(COMMANDS, []);
  for (const command of COMMANDS.filter((row) => !row.hidden)) {
    assertStringIncludes(top, command.words[0]!);
    const own = helpText(COMMANDS, command.words);
    assertStringIncludes(own, command.summary);
    for (const { name } of command.arguments) assertStringIncludes(own, name);
    for (const flag of Object.keys(command.flags)) assertStringIncludes(own, `--${flag}`);
    assertStringIncludes(own, command.examples[0]![1]);
  }
  assertEquals(top.includes("__complete"), false);
  assertStringIncludes(helpText(COMMANDS, ["volume"]), "Usage: lamina volume COMMAND");
});

Deno.test("the reference has every command once, and no line breaks a table", () => {
  const page = commandReference();
  for (const command of COMMANDS.filter((row) => !row.hidden)) {
    assertEquals(page.split(`\n## lamina ${command.words.join(" ")}\n`).length, 2, command.words.join(" "));
  }
  for (const line of page.split("\n").filter((text) => text.startsWith("| "))) {
    assertEquals(line.replaceAll("\\|", "").split("|").length, 4, line);
  }
});
