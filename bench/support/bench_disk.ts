/** A journaled file system on this machine's real disk, as engines have one: what is measured there can be compared. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountsUnder } from "../../tests/support/machine_state.ts";
import { project } from "../../tests/architecture/sources.ts";

/** See the head of the file. */
export interface BenchDisk extends AsyncDisposable {
  readonly path: string;
}

const size = "14G";

/** Makes and mounts it; disposing it unmounts and removes it. */
export async function benchDisk(): Promise<BenchDisk> {
  const cache = join(project, ".cache/bench");
  await Deno.mkdir(cache, { recursive: true });
  const image = join(cache, "disk.img");
  // Short, for socket paths.
  const path = await Deno.makeTempDir({ dir: "/tmp", prefix: "lamina-bench-" });
  const dispose = async () => {
    for (const target of (await mountsUnder(path)).reverse()) await commandOutput("umount", ["--", target]);
    await commandOutput("rm", ["-rf", "--one-file-system", "--", path, image]);
  };
  try {
    await commandOutput("rm", ["-f", image]);
    await commandOutput("fallocate", ["-l", size, image]);
    await commandOutput("mkfs.ext4", ["-q", "-F", "-E", "nodiscard", "-N", "2000000", image]);
    await commandOutput("mount", ["-o", "loop,noatime", image, path]);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: dispose };
}
