/** File systems that are not the tests' usual one. */
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../../runtime/host/command.ts";
import { scratchDirectory } from "../../support/scratch.ts";

/** A mounted file system that goes away with everything on it. */
export interface OtherFileSystem extends AsyncDisposable {
  readonly path: string;
}

/** A fresh file system; on a loop device where it needs one. `undefined` where its tools or the kernel lack it. */
export async function otherFileSystem(type: "btrfs" | "xfs" | "tmpfs"): Promise<OtherFileSystem | undefined> {
  const scratch = await scratchDirectory();
  const path = join(scratch.path, "fs"), image = join(scratch.path, "image");
  await Deno.mkdir(path);
  const dispose = () => scratch[Symbol.asyncDispose]();
  try {
    if (type === "tmpfs") await commandOutput("mount", ["-t", "tmpfs", "-o", "size=512m", "tmpfs", path]);
    else {
      await commandOutput("truncate", ["-s", "512M", image]);
      await commandOutput(`mkfs.${type}`, [type === "xfs" ? "-q" : "--quiet", image]);
      await commandOutput("mount", ["-o", "loop", image, path]);
    }
  } catch {
    await dispose();
    return undefined;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      // Not lazily: the loop device has to be free before its image goes.
      await runCommand("umount", ["-R", path]);
      await dispose();
    },
  };
}
