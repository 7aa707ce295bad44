import { assert, assertEquals } from "@std/assert";
import { runCommand } from "../../runtime/host/command.ts";
import { formatFstab, type FstabEntry, memoryFile } from "../../runtime/host/fstab.ts";
import { libcTest } from "../support/scratch.ts";

libcTest("an fstab's fields come back from libmount as they were", async () => {
  const names = ["plain", "a b", "t\tb", "n\nl", "#x", "back\\slash", "\\040", "é\u{1f600}", 'q"uote', "r\rt", "'"];
  const entries: FstabEntry[] = names.map((name) => ({
    source: `/s/${name}`,
    target: `/t/${name}`,
    type: "none",
    options: ["bind", "ro"],
  }));
  using file = memoryFile(formatFstab(entries));
  const { stdout } = await runCommand("findmnt", ["--json", "--tab-file", file.path, "-o", "SOURCE,TARGET,OPTIONS"]);
  const found = JSON.parse(stdout).filesystems as Array<Record<string, string>>;
  assertEquals(
    found.map(({ source, target, options }) => ({ source, target, options })),
    entries.map(({ source, target }) => ({ source, target, options: "bind,ro" })),
  );
});

Deno.test("an empty field or option list is written as a word", () => {
  assertEquals(formatFstab([{ source: "", target: "/t", type: "", options: [] }]), "none /t none defaults 0 0\n");
});

Deno.test("a file in memory is read by children and gone with its handle", async () => {
  let path: string;
  {
    using file = memoryFile("secret ".repeat(10_000));
    path = file.path;
    assertEquals((await runCommand("wc", ["-c", path])).stdout.split(" ")[0], "70000");
  }
  // The descriptor's number may be somebody else's by now.
  assert(!(await Deno.readLink(path).catch(() => "")).includes("memfd"));
});
