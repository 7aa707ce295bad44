import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { COMMANDS } from "../../runtime/cli/command_table.ts";
import { parseCommandLine, UsageError } from "../../runtime/cli/parse.ts";
import { editDistance, nearest } from "../../runtime/cli/suggest.ts";
import { keyValues } from "../../runtime/cli/key_values.ts";

function parsed(line: string) {
  const invocation = parseCommandLine(COMMANDS, line === "" ? [] : line.split(" "));
  if (invocation.kind !== "run") throw new Error("asked for help");
  return invocation;
}

function usage(...args: string[]): UsageError {
  return assertThrows(() => parseCommandLine(COMMANDS, args), UsageError);
}

Deno.test("global flags may stand anywhere", () => {
  for (const line of ["--root /r --json image ls", "image --root /r --json ls", "image ls --json --root=/r"]) {
    const { command, globals } = parsed(line);
    assertEquals([command.words, globals.root, globals.json], [["image", "ls"], "/r", true], line);
  }
});

Deno.test("arguments stay text: numbers, a dash, and everything after two dashes", () => {
  assertEquals(parsed("container mount 007").arguments, ["007"]);
  assertEquals(parsed("image import -").arguments, ["-"]);
  assertEquals(parsed("volume inspect -- --json").arguments, ["--json"]);
  assertEquals(parsed("volume inspect 1e3 0x10").arguments, ["1e3", "0x10"]);
});

Deno.test("the same letter is another flag in another command", () => {
  assertEquals(parsed("container create a -v a:/a -v b:/b").flags.volume, ["a:/a", "b:/b"]);
  assertEquals(parsed("container rm -v a").flags.volumes, true);
  assertEquals(parsed("container rm -fv a").flags, {
    ...parsed("container rm a").flags,
    force: true,
    volumes: true,
  });
});

Deno.test("a flag's value comes after a space or an equals sign, a short one's also at once", () => {
  assertEquals(parsed("image export a -o x.tar").flags.output, "x.tar");
  assertEquals(parsed("image export a --output=x.tar").flags.output, "x.tar");
  assertEquals(parsed("get pods -oyaml -nshop -w").flags, {
    ...parsed("get pods").flags,
    output: "yaml",
    namespace: "shop",
    watch: true,
  });
  assertEquals(parsed("get pods -- -oyaml").arguments, ["pods", "-oyaml"]);
  assertEquals(parsed("image export a -o -").flags.output, "-");
  assertEquals(parsed("image export a").flags.format, "oci");
});

Deno.test("help is asked for by a flag, or by naming a noun alone", () => {
  for (const line of ["", "--help", "image", "image --help", "-h", "--root /r"]) {
    assertEquals(parseCommandLine(COMMANDS, line === "" ? [] : line.split(" ")).kind, "help", line);
  }
  assertEquals(parseCommandLine(COMMANDS, ["image", "import", "--help"]), {
    kind: "help",
    words: ["image", "import"],
  });
});

Deno.test("a slip of the finger gets the nearest command or flag", () => {
  const cases: ReadonlyArray<readonly [string[], string, string | undefined]> = [
    [["imgae", "ls"], '"imgae"', "did you mean lamina image?"],
    [["image", "improt", "x"], '"improt"', "did you mean lamina image import?"],
    [["image", "import", "x", "--reff", "a"], "--reff", "did you mean --ref?"],
    [["container", "create", "a", "--redonly"], "--redonly", "did you mean --read-only?"],
    [["conatiner"], '"conatiner"', "did you mean lamina container?"],
    [["image", "export", "a", "--format", "dokcer"], '"dokcer"', "did you mean --format docker?"],
    [["xyzzy"], '"xyzzy"', "see lamina --help"],
    [["image", "ls", "--xyzzy"], "--xyzzy", "see lamina image ls --help"],
    [["--xyzzy"], "--xyzzy", "see lamina --help"],
  ];
  for (const [args, message, hint] of cases) {
    const error = usage(...args);
    assertStringIncludes(error.message, message);
    assertEquals(error.hint, hint, args.join(" "));
  }
});

Deno.test("missing and surplus words are refused by name", () => {
  const cases: ReadonlyArray<readonly [string[], string]> = [
    [["image", "import"], "needs SRC"],
    [["image", "tag", "a"], "needs REF"],
    [["image", "import", "a", "b"], '"b" is too much'],
    [["image", "ls", "x"], "takes no arguments"],
    [["container", "mount", ""], "is empty"],
    [["image", "import", "x", "--ref"], "--ref needs a value"],
    [["image", "import", "x", "--ref="], "--ref needs a value"],
    [["image", "import", "x", "--ref", "--json"], "--ref needs a value"],
    [["container", "create", "a", "-v"], "--volume needs a value"],
    [["image", "ls", "--json=yes"], "--json takes no value"],
    [["image", "ls", "--log-level", "loud"], "one of debug, info"],
    [["completions"], "needs SHELL"],
  ];
  for (const [args, message] of cases) assertStringIncludes(usage(...args).message, message, args.join(" "));
});

Deno.test("suggestions are near: one slip in three letters", () => {
  assertEquals(editDistance("image", "imgae"), 1);
  assertEquals(editDistance("", "abc"), 3);
  assertEquals(nearest("lss", ["ls", "rm"]), "ls");
  assertEquals(nearest("delete", ["ls", "rm"]), undefined);
  assertEquals(nearest("--reference", ["--ref", "--root"]), "--ref");
  assertEquals(nearest("comp", ["completions", "container"]), "completions");
});

Deno.test("key-value flags keep everything after the first equals sign", () => {
  assertEquals(keyValues("--opt", ["o=addr=1,rw", "e="]), { o: "addr=1,rw", e: "" });
  assertEquals(keyValues("--label", ["a"], { bare: true }), { a: "" });
  for (const bad of [["a"], ["=b"], ["a=1", "a=2"]]) {
    assertThrows(() => keyValues("--opt", bad), UsageError);
  }
});
