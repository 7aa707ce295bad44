import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { canMountInside, createUserNamespace } from "../support/user_namespace.ts";

const child = fromFileUrl(new URL("./fuse_fallback_child.ts", import.meta.url));

/** An overlay cannot be stacked on this file system by the kernel: its listings tell no types. */
async function unfitFileSystem(directory: string): Promise<string> {
  const image = join(directory, "image"), target = join(directory, "fs");
  await Deno.mkdir(target);
  await commandOutput("truncate", ["-s", "64M", image]);
  await commandOutput("mkfs.ext4", ["-q", "-F", "-O", "^filetype", image]);
  await commandOutput("mount", ["-o", "loop", image, target]);
  return target;
}

rootTest("without root fuse-overlayfs stands in by itself where the kernel's overlay does not work", async () => {
  await using namespace = await createUserNamespace();
  assert(namespace !== undefined && await canMountInside(namespace), "the kernel gives user namespaces that may mount");
  await using scratch = await scratchDirectory();
  const base = await unfitFileSystem(scratch.path);
  const [program, ...args] = namespace.command([Deno.execPath(), "run", "-A", "--quiet", "--no-check", child, base]);
  const { code, stdout, stderr } = await runCommand(program, args, {
    timeout_ms: 600_000,
    env: { LAMINA_TEST_SCRATCH: scratch.path, DENO_NO_UPDATE_CHECK: "1" },
  });
  assertEquals(code, 0, stderr);
  const found = JSON.parse(stdout);
  assertMatch(found.program, /stacked by fuse-overlayfs: .*listings/);
  assertEquals([found.supported, found.type], [true, "fuse.fuse-overlayfs"]);
  assertEquals(found.changes, ["A /added", "D /deleted"]);
});
