import { assertEquals, assertStringIncludes } from "@std/assert";
import { serveUnix } from "../../runtime/api/server.ts";
import { COMMANDS } from "../../runtime/cli/command_table.ts";
import { suggest, type Suggestion } from "../../runtime/cli/completion.ts";
import { completionScript, SHELLS } from "../../runtime/cli/completion_scripts.ts";
import { fakeRuntime } from "../api/support/fake_runtime.ts";
import { laminaCommand } from "../e2e/lamina_process.ts";

const words = (...list: string[]): Suggestion => ({ kind: "words", words: list });

const objects = (of: string, prefix: string) =>
  ({ kind: "objects", of, prefix, before: "", namespace: undefined }) as const;

Deno.test("completion knows what may come next", () => {
  const cases: ReadonlyArray<readonly [string[], Suggestion]> = [
    [["im"], words("image")],
    [["image", "i"], words("import", "inspect")],
    [["--root", "/r", "vol"], words("volume")],
    [["image", "import", ""], { kind: "lookup", what: "file", prefix: "" }],
    [["image", "inspect", "te"], { kind: "lookup", what: "image", prefix: "te" }],
    [["image", "inspect", "a", "b"], { kind: "lookup", what: "image", prefix: "b" }],
    [["image", "tag", "a", "b"], words()],
    [["container", "mount", "s"], { kind: "lookup", what: "container", prefix: "s" }],
    [["container", "mount", "a", "b"], words()],
    [["volume", "rm", ""], { kind: "lookup", what: "volume", prefix: "" }],
    [["image", "export", "a", "--form"], words("--format")],
    [["image", "export", "a", "--format", "o"], words("oci", "oci-dir")],
    [["image", "export", "a", "--format=d"], words("--format=docker")],
    [["image", "export", "a", "-o", "x"], { kind: "lookup", what: "file", prefix: "x" }],
    [["container", "cp", "s"], { kind: "lookup", what: "container-path", prefix: "s" }],
    [["--log-level", "w"], words("warn")],
    [["completions", "f"], words("fish")],
    [["__comp"], words()],
    [["nonsense", "x"], words()],
    [["get", "pvc"], words("pvc")],
    [["get", "pods", "w"], objects("pods", "w")],
    [["describe", "pvc", "a", ""], objects("pvc", "")],
    [["delete", "pod/w"], { ...objects("pod", "w"), before: "pod/" }],
    [["wait", "-n", "shop", "pods", "w"], { ...objects("pods", "w"), namespace: "shop" }],
    [["get", "--namespace=shop", "pods", "w"], { ...objects("pods", "w"), namespace: "shop" }],
  ];
  for (const [line, expected] of cases) assertEquals(suggest(COMMANDS, line), expected, line.join(" "));
});

Deno.test("each shell accepts its script", async (t) => {
  for (const shell of SHELLS) {
    const there = await new Deno.Command("sh", { args: ["-c", `command -v ${shell}`], stdout: "null" }).output();
    await t.step({
      name: there.success ? shell : `${shell} (ignored: not installed)`,
      ignore: !there.success,
      fn: async () => {
        const check = new Deno.Command(shell, { args: ["-n"], stdin: "piped", stderr: "piped" }).spawn();
        const writer = check.stdin.getWriter();
        await writer.write(new TextEncoder().encode(completionScript(shell)));
        await writer.close();
        const { success, stderr } = await check.output();
        assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
      },
    });
  }
});

Deno.test("bash completes names of the daemon's objects", async () => {
  const directory = await Deno.makeTempDir({ prefix: "lamina-complete-" });
  const socketPath = `${directory}/s/x.sock`;
  const server = await serveUnix({ socketPath, runtime: fakeRuntime() });
  try {
    const [program, ...prefix] = laminaCommand();
    const wrapper = `${directory}/lamina`;
    await Deno.writeTextFile(wrapper, `#!/bin/sh\nexec ${[program, ...prefix].join(" ")} "$@"\n`, { mode: 0o755 });
    const complete = async (...line: string[]) => {
      const script = `${completionScript("bash")}
COMP_WORDS=(${[wrapper, ...line].map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${line.length}
_lamina; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout } = await new Deno.Command("bash", {
        args: ["--norc", "-c", script],
        env: { LAMINA_SOCKET: socketPath },
      }).output();
      return new TextDecoder().decode(stdout).trim().split("\n");
    };
    assertEquals(await complete("container", "mount", "s"), ["shop", "store"]);
    assertEquals(await complete("image", "inspect", "team"), ["team/web:1"]);
    assertEquals(await complete("volume", "rm", ""), ["data"]);
    assertEquals(await complete("container", "comm"), ["commit"]);
    assertStringIncludes((await complete("container", "cp", "sh")).join(), "shop:");
  } finally {
    await server.stop();
    await Deno.remove(directory, { recursive: true });
  }
});
