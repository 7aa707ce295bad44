/** The project as a read-only image for the guest, with Deno's cache of its packages and compiled modules. */
import { fromFileUrl, join } from "@std/path";
import { commandOutput } from "../../runtime/host/command.ts";

const project = fromFileUrl(new URL("../../", import.meta.url));

/**
 * Makes an erofs image of the working tree.
 *
 * @param target Path of the image.
 * @param modules Entry points (relative to the project) whose compiled form goes along: type stripping is slow in the guest.
 */
export async function makeGuestTree(target: string, modules: readonly string[]): Promise<void> {
  // Of this checkout: what is compiled is kept by its path.
  const denoDir = join(project, ".cache/guest-deno-dir");
  const staging = await Deno.makeTempDir({ prefix: "lamina-tree-" });
  try {
    await commandOutput(Deno.execPath(), ["cache", "--no-check", ...modules], {
      cwd: project,
      env: { DENO_DIR: denoDir, DENO_TLS_CA_STORE: "system", DENO_NO_UPDATE_CHECK: "1" },
      timeout_ms: 300_000,
    });
    const files = (await commandOutput("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: project,
    })).split("\0").filter(Boolean);
    const present = [];
    for (const file of files) {
      // A file that was deleted but not yet committed is still listed.
      if (await Deno.lstat(join(project, file)).then(() => true, () => false)) present.push(file);
    }
    await commandOutput("tar", [
      "-C",
      project,
      "-cf",
      join(staging, "tree.tar"),
      "--null",
      "--verbatim-files-from",
      "-T",
      "-",
    ], {
      stdin: new TextEncoder().encode(present.join("\0")),
    });
    const tree = join(staging, "tree");
    await Deno.mkdir(tree);
    await commandOutput("tar", ["-C", tree, "-xf", join(staging, "tree.tar")]);
    await commandOutput("cp", ["-a", denoDir, join(tree, ".deno-dir")]);
    await commandOutput("mkfs.erofs", [target, tree], { timeout_ms: 300_000 });
  } finally {
    await Deno.remove(staging, { recursive: true });
  }
}
