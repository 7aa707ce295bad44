/** File systems with project quotas, on loop devices; in a guest, because the host's kernel has none. */
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../../runtime/host/command.ts";
import { scratchDirectory } from "../../support/scratch.ts";

/** A mounted file system that goes away with everything on it. */
export interface QuotaFileSystem extends AsyncDisposable {
  readonly path: string;
  /** Unmounts and mounts it again, as a reboot does. */
  remount(options?: string): Promise<void>;
}

/** Makes one and mounts it with `options`. */
export async function quotaFileSystem(type: "ext4" | "xfs", options = "prjquota"): Promise<QuotaFileSystem> {
  const scratch = await scratchDirectory();
  const path = join(scratch.path, "fs"), image = join(scratch.path, "image");
  await Deno.mkdir(path);
  await runCommand("modprobe", ["-a", "loop", type, "overlay", "quota_v2"]);
  await commandOutput("truncate", ["-s", "512M", image]);
  if (type === "xfs") await commandOutput("mkfs.xfs", ["-q", image]);
  else {
    const features = ["-O", "quota,project", "-E", "quotatype=prjquota,nodiscard"];
    await commandOutput("mkfs.ext4", ["-q", "-F", ...features, image]);
  }
  const mount = (using: string) => commandOutput("mount", ["-t", type, "-o", `loop,${using}`, image, path]);
  await mount(options);
  return {
    path,
    async remount(using = options) {
      await commandOutput("umount", [path]);
      await mount(using);
    },
    async [Symbol.asyncDispose]() {
      await runCommand("umount", ["-R", path]);
      await scratch[Symbol.asyncDispose]();
    },
  };
}
