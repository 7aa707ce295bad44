/** Shell scripts that stand in for programs of the host, found first on the path. */
import { join } from "@std/path/posix";

/** See {@linkcode withPrograms}. */
export interface Programs extends AsyncDisposable {
  /** Lines `PROGRAM ARGUMENT…` of the calls so far. */
  calls(): Promise<string[]>;
  readonly directory: string;
}

/**
 * Puts programs on the path until it is disposed of.
 *
 * @param scripts Name -> what its shell runs after it has noted its arguments; `$here` is the programs' directory.
 * @param options `only`: nothing else is on the path.
 */
export async function withPrograms(
  scripts: Readonly<Record<string, string>>,
  options: { readonly only?: boolean } = {},
): Promise<Programs> {
  const directory = await Deno.makeTempDir({ prefix: "programs" });
  for (const [name, script] of Object.entries(scripts)) {
    const text = `#!/bin/sh\nhere=${directory}\necho "$(basename "$0") $*" >> "$here/calls"\n${script}\n`;
    await Deno.writeTextFile(join(directory, name), text, { mode: 0o755 });
  }
  const before = Deno.env.get("PATH") ?? "";
  Deno.env.set("PATH", options.only ? directory : `${directory}:${before}`);
  return {
    directory,
    async calls() {
      const text = await Deno.readTextFile(join(directory, "calls")).catch(() => "");
      return text.split("\n").filter(Boolean);
    },
    async [Symbol.asyncDispose]() {
      Deno.env.set("PATH", before);
      await Deno.remove(directory, { recursive: true });
    },
  };
}
