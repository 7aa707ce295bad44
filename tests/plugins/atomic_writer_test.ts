import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { writeFilesAtomically } from "../../runtime/host/atomic_writer.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { modeOf, namesIn } from "./stage.ts";

type Texts = Record<string, string>;

function filesOf(texts: Texts, mode = 0o644) {
  return new Map(
    Object.entries(texts).map(([path, text]) => [path, { content: new TextEncoder().encode(text), mode }]),
  );
}

function write(directory: string, texts: Texts, options: { mode?: number; gid?: number } = {}) {
  return writeFilesAtomically(directory, filesOf(texts, options.mode), {
    what: "volume",
    durable: true,
    gid: options.gid,
  });
}

/** What a reader sees: files by path, through the links. */
async function view(directory: string): Promise<Texts> {
  const { stdout } = await runCommand("find", ["-L", ".", "-path", "./..*", "-prune", "-o", "-type", "f", "-print"], {
    cwd: directory,
  });
  const paths = stdout.split("\n").filter(Boolean).map((path) => path.slice(2)).sort();
  const texts: Texts = {};
  for (const path of paths) texts[path] = await Deno.readTextFile(join(directory, path));
  return texts;
}

/** Names that begin with `..`, besides `..data` and what it leads to. */
async function leftovers(directory: string): Promise<string[]> {
  const current = await Deno.readLink(join(directory, "..data"));
  return (await namesIn(directory)).filter((name) => name.startsWith("..") && name !== "..data" && name !== current);
}

rootTest("files are shown, replaced as one, and an equal set changes nothing", async () => {
  await using scratch = await scratchDirectory();
  const directory = scratch.path;
  const first = { "a": "1", "dir/b": "2", "dir/deep/c": "3" };
  assertEquals(await write(directory, first), "written");
  assertEquals(await view(directory), first);
  assertEquals(await Deno.readLink(join(directory, "dir")), "..data/dir");
  const data = await Deno.readLink(join(directory, "..data"));
  assertEquals(await write(directory, first), "unchanged");
  assertEquals(await Deno.readLink(join(directory, "..data")), data);
  const second = { "a": "new", "other": "x" };
  assertEquals(await write(directory, second), "written");
  assertEquals(await view(directory), second);
  assertEquals(
    await namesIn(directory),
    [await Deno.readLink(join(directory, "..data")), "..data", "a", "other"].sort(),
  );
});

rootTest("a change of a mode or a group alone is a change", async () => {
  await using scratch = await scratchDirectory();
  const directory = scratch.path;
  await write(directory, { "d/a": "1" }, { mode: 0o400 });
  assertEquals(await modeOf(join(directory, "..data/d/a")), 0o400);
  assertEquals(await write(directory, { "d/a": "1" }, { mode: 0o600 }), "written");
  assertEquals(await modeOf(join(directory, "..data/d/a")), 0o600);
  assertEquals(await write(directory, { "d/a": "1" }, { mode: 0o600, gid: 2000 }), "written");
  const status = await Deno.stat(join(directory, "d/a"));
  assertEquals([status.mode! & 0o7777, status.uid, status.gid], [0o640, 0, 2000]);
  const above = await Deno.stat(join(directory, "d"));
  assertEquals([above.mode! & 0o7777, above.gid], [0o2755, 2000]);
  assertEquals(await write(directory, { "d/a": "1" }, { mode: 0o600, gid: 2000 }), "unchanged");
});

rootTest("the umask has no say in modes", async () => {
  await using scratch = await scratchDirectory();
  const before = Deno.umask(0o077);
  try {
    await write(scratch.path, { "d/a": "1" }, { mode: 0o666 });
  } finally {
    Deno.umask(before);
  }
  assertEquals(await modeOf(join(scratch.path, "..data/d/a")), 0o666);
  assertEquals(await modeOf(join(scratch.path, "..data/d")), 0o755);
});

rootTest("somebody who tampers with the volume only makes it be written again", async () => {
  await using scratch = await scratchDirectory();
  const directory = scratch.path, files = { a: "1", "d/b": "2" };
  await write(directory, files);
  await Deno.writeTextFile(join(directory, "a"), "changed");
  assertEquals(await write(directory, files), "written");
  await Deno.remove(join(directory, "a"));
  assertEquals(await write(directory, files), "written");
  await Deno.remove(join(directory, "..data"));
  await Deno.symlink("/etc", join(directory, "..data"));
  assertEquals(await write(directory, files), "written");
  assertEquals([await view(directory), await leftovers(directory)], [files, []]);
  await Deno.writeTextFile(join(directory, "..data/extra"), "");
  assertEquals(await write(directory, files), "written");
  assertEquals(await view(directory), files);
});

rootTest("a name that somebody else has taken is told, and what is shown stays", async () => {
  await using scratch = await scratchDirectory();
  const directory = scratch.path;
  await write(directory, { a: "1" });
  await Deno.writeTextFile(join(directory, "b"), "mine");
  const error = await assertRejects(() => write(directory, { a: "2", b: "2" }), LaminaError, '"b" is there already');
  assertEquals(error.code, "CONFLICT");
  assertEquals([await Deno.readTextFile(join(directory, "a")), await leftovers(directory)], ["1", []]);
});

rootTest("on a full disk the old files stay, whole", async () => {
  await using scratch = await scratchDirectory();
  const directory = scratch.path;
  await commandOutput("mount", ["-t", "tmpfs", "-o", "size=256k", "test", directory]);
  await write(directory, { a: "1", b: "1" });
  const error = await assertRejects(() => write(directory, { a: "2", b: "x".repeat(1 << 20) }), LaminaError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assertEquals([await view(directory), await leftovers(directory)], [{ a: "1", b: "1" }, []]);
});

rootTest("a SIGKILL at any step shows the old files or the new ones, and the next write clears up", async () => {
  const victim = new URL("./support/atomic_victim.ts", import.meta.url).pathname;
  const old = { gone: "old", stays: "old", "d/x": "old" },
    next = { stays: "new", "d/x": "new", "d/y": "new", n: "new" };
  for (const point of FAULT_POINTS.filter((name) => name.startsWith("atomic."))) {
    await using scratch = await scratchDirectory();
    const directory = scratch.path;
    await write(directory, old);
    const { code } = await runCommand(
      Deno.execPath(),
      ["run", "-A", "--no-check", victim, directory, JSON.stringify(next)],
      { env: { LAMINA_FAULT: point } },
    );
    assertEquals(code, 137, point);
    // Through the link that is renamed; the links at the top follow it.
    const seen = await view(join(directory, "..data"));
    const renamed = point === "atomic.renamed" || point === "atomic.links_made";
    assertEquals(seen, renamed ? next : old, point);
    assertEquals(await write(directory, next), point === "atomic.links_made" ? "unchanged" : "written", point);
    assertEquals([await view(directory), await leftovers(directory)], [next, []], point);
  }
});
