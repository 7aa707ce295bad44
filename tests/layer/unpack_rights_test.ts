import { assert, assertEquals } from "@std/assert";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { createUserNamespace } from "../support/user_namespace.ts";
import { treeOf } from "./support/apply.ts";
import { archive, dir, file, opaque, whiteout } from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

/** Runs `unpack_here.ts` under other rights and gives what it printed. */
async function unpackAs(prefix: readonly string[], archivePath: string, directory: string, form: string) {
  const script = new URL("./support/unpack_here.ts", import.meta.url).pathname;
  const [program, ...args] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    script,
    archivePath,
    directory,
    form,
  ];
  const { code, stdout, stderr } = await runCommand(program!, args);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

rootTest("without CAP_MKNOD device nodes are skipped with a warning, FIFOs and whiteouts are made", async () => {
  await using scratch = await scratchDirectory();
  const [path, layer] = [`${scratch.path}/tar`, `${scratch.path}/layer`];
  await Deno.mkdir(layer);
  const entries = [
    { name: "null", type: "3", major: 1, minor: 3 },
    { name: "p", type: "6" },
    whiteout("gone"),
    file("f"),
  ];
  await Deno.writeFile(path, archive(entries));
  const setpriv = ["setpriv", "--inh-caps=-mknod", "--bounding-set=-mknod"];
  const { warnings } = await unpackAs(setpriv, path, layer, "overlay");
  assertEquals(treeOf(layer), { f: "file f", gone: "whiteout", p: "fifo" });
  assertEquals(warnings.length, 1);
  assert(warnings[0].includes('"null"') && warnings[0].includes("CAP_MKNOD"));
});

rootTest("in a user namespace layers are unpacked with its owners, whiteouts and opaque marks", async () => {
  await using namespace = await createUserNamespace();
  if (namespace === undefined) return; // the kernel gives none: nothing to support there
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "chmod 711 .");
  const [path, layer] = [`${scratch.path}/tar`, `${scratch.path}/layer`];
  await Deno.mkdir(layer);
  await Deno.writeFile(
    path,
    archive([dir("d"), opaque("d"), whiteout("gone"), file("f", "f", { uid: 1000, mode: 0o4755 }), {
      name: "c",
      type: "3",
      major: 1,
      minor: 3,
    }]),
  );
  const result = await unpackAs(namespace.command([]), path, layer, "overlay-user");
  assertEquals(treeOf(layer), { d: "dir opaque", f: "file f", gone: "whiteout" });
  assertEquals((await sh(layer, "stat -c '%u %a' f")).trim(), "1000 4755");
  assertEquals(result.warnings.length, 1);
});
